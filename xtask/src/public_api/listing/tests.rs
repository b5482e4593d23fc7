//! What counts as public, and how it is written down.

use super::*;

#[test]
fn public_items_are_listed_and_others_left_out() {
    let code = "
        #![allow(x)]
        pub mod name;
        mod private;
        use a::b;
        pub use name::{Name, Other};
        pub(crate) fn hidden() { pub fn inner() {} }
        pub async fn shown<T: Into<String>>(
            a: &[u8; 4],
            b: T,
        ) -> Result<(), Error>
        where
            T: Send,
        { let x = 1; { } }
        pub const LATEST: Self = Self { a: 1 };
        fn last() {}
    ";
    let expected = "pub mod name\n\
                    pub use name::{Name, Other}\n\
                    pub async fn shown<T: Into<String>>(a: &[u8; 4], b: T) -> Result<(), Error> where T: Send\n\
                    pub const LATEST: Self\n";
    assert_eq!(items(code), expected);
}

#[test]
fn types_show_public_fields_all_variants_and_what_they_implement() {
    let code = "
        #[derive(Debug,
            Clone)]
        #[serde(default)]
        pub struct Route { pub dst: Map<A, B>, #[serde(skip)] pub gw: Option<IpAddr>, secret: u8 }
        pub struct Code(pub u32);
        struct Hidden { pub a: u8 }
        #[non_exhaustive]
        pub enum Error {
            #[error] Missing { path: PathBuf, #[source] source: io::Error },
            Other(#[from] Box<dyn Fn(u8) -> A>),
            Last = 3,
        }
        impl fmt::Display for Route { fn fmt(&self) {} }
    ";
    let expected = "#[derive(Debug, Clone)]\n\
                    pub struct Route\n    pub dst: Map<A, B>\n    pub gw: Option<IpAddr>\n\
                    pub struct Code(pub u32)\n\
                    #[non_exhaustive]\n\
                    pub enum Error\n    Missing { path: PathBuf, source: io::Error }\n    \
                    Other(Box<dyn Fn(u8) -> A>)\n    Last = 3\n\
                    impl fmt::Display for Route\n";
    assert_eq!(items(code), expected);
}

#[test]
fn what_private_types_implement_is_left_out() {
    let code = "
        struct Hidden; pub(crate) enum Inner<T> { A(T) } pub struct Shown;
        impl Drop for Hidden { fn drop(&mut self) {} }
        impl<T> fmt::Debug for Inner<T> {}
        impl From<Hidden> for Shown {}
        impl From<Shown> for String {}
    ";
    let expected = "pub struct Shown\nimpl From<Hidden> for Shown\nimpl From<Shown> for String\n";
    assert_eq!(items(code), expected);
}

#[test]
fn members_of_implementations_and_public_traits_are_listed() {
    let code = "
        impl Name { pub fn as_str(&self) -> &str { x } fn hidden(&self) {} }
        impl Quiet { fn hidden(&self) {} }
        pub trait Exec: Send { type Output; fn run(&self) -> u8; fn name(&self) -> u8 { 1 } }
        trait Hidden { fn run(&self); }
        macro_rules! newtype { ($name:ident) => { pub struct $name(String); impl $name { pub fn new() {} } }; }
    ";
    let expected = "impl Name\n    pub fn as_str(&self) -> &str\n\
                    pub trait Exec: Send\n    type Output\n    fn run(&self) -> u8\n    fn name(&self) -> u8\n\
                    macro_rules! newtype\n($name:ident) =>\npub struct $name(String)\nimpl $name\n    pub fn new()\n";
    assert_eq!(items(code), expected);
}
