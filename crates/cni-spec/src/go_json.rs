//! Decodes JSON as Go's `encoding/json` does, because that is what the field's runtimes were written
//! against: go-cni, for one, sends `HostPort` where the specification says `hostPort`.
//!
//! - The keys of a struct are matched without regard to case; of two that differ in case only, the
//!   last counts, in the order of [`Map`] (bytewise: capitals first).
//! - `null` is an absent key in a struct, and the zero value elsewhere.
//! - Unknown keys are ignored.
//!
//! Maps keep their keys as they are. serde knows the keys of a struct only where there is neither
//! `flatten` nor `untagged`: under those, case counts.

use std::fmt;

use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess,
};
use serde::de::{Visitor, value::BorrowedStrDeserializer};
use serde_json::{Map, Value};

#[cfg(test)]
mod tests;

/// Decodes `value`.
///
/// # Errors
/// If it does not fit `T`; the message begins with the path of the offending key,
/// `ranges[0].subnet: ...`.
///
/// # Examples
/// ```
/// #[derive(serde::Deserialize, PartialEq, Debug)]
/// #[serde(rename_all = "camelCase")]
/// struct PortMapping {
///     host_port: u16,
///     #[serde(default)]
///     host_ip: String,
/// }
///
/// let sent_by_containerd = serde_json::json!({"HostPort": 8080, "HostIP": null});
/// let mapping: PortMapping = podnet_cni_spec::go_json::decode(&sent_by_containerd)?;
/// assert_eq!(mapping, PortMapping { host_port: 8080, host_ip: String::new() });
/// # Ok::<(), serde_json::Error>(())
/// ```
pub fn decode<T: DeserializeOwned>(value: &Value) -> Result<T, serde_json::Error> {
    T::deserialize(GoValue(value)).map_err(serde_json::Error::custom)
}

/// Decodes an object.
pub(crate) fn decode_map<T: DeserializeOwned>(
    map: &Map<String, Value>,
) -> Result<T, serde_json::Error> {
    T::deserialize(GoObject { map, unknown: None }).map_err(serde_json::Error::custom)
}

/// Decodes an object and returns the keys that `read`'s struct does not have.
///
/// `read` is the struct's `deserialize`; this is a function and not `T` so that a type whose own
/// `Deserialize` calls this one can pass its derived part.
pub(crate) fn decode_keeping_unknown<'de, T>(
    map: &'de Map<String, Value>,
    read: impl FnOnce(GoObject<'de, '_>) -> Result<T, DecodeError>,
) -> Result<(T, Map<String, Value>), DecodeError> {
    let mut unknown = Map::new();
    let known = read(GoObject { map, unknown: Some(&mut unknown) })?;
    Ok((known, unknown))
}

/// Go's value of `key`: the last of those that are spelled so but for case and are not null.
pub(crate) fn lookup<'a>(map: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    map.iter()
        .filter(|(spelled, value)| same_key(spelled, key) && !value.is_null())
        .map(|(_, value)| value)
        .next_back()
}

/// Whether two keys are the same to Go, which folds ASCII case and the two letters outside of ASCII
/// that fold into it, the long s and the Kelvin sign.
pub(crate) fn same_key(one: &str, other: &str) -> bool {
    let folded = |character: char| match character {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        _ => character.to_ascii_lowercase(),
    };
    one.chars().map(folded).eq(other.chars().map(folded))
}

/// What does not fit, and where.
#[derive(Debug)]
pub(crate) struct DecodeError {
    path: String,
    message: String,
}

impl DecodeError {
    fn below(self, step: &str) -> Self {
        let separator = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        Self { path: format!("{step}{separator}{}", self.path), ..self }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.path, self.message)
        }
    }
}

impl std::error::Error for DecodeError {}

impl serde::de::Error for DecodeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { path: String::new(), message: message.to_string() }
    }
}

struct GoValue<'de>(&'de Value);

/// The value, or where it is null what Go would leave in its place.
macro_rules! null_is {
    ($($method:ident($($argument:ident: $type:ty),*) => $visit:ident($($zero:expr)?);)*) => {$(
        fn $method<V: Visitor<'de>>(self, $($argument: $type,)* visitor: V)
            -> Result<V::Value, DecodeError>
        {
            if self.0.is_null() { visitor.$visit($($zero)?) } else { self.deserialize_any(visitor) }
        }
    )*};
}

impl<'de> Deserializer<'de> for GoValue<'de> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.0 {
            Value::Array(items) => visitor.visit_seq(GoItems(items.iter().enumerate())),
            Value::Object(map) => {
                let entries = map.iter().map(|(key, value)| (key.as_str(), value)).collect();
                visitor.visit_map(GoEntries::new(entries))
            }
            Value::String(text) => visitor.visit_borrowed_str(text),
            scalar => scalar.deserialize_any(visitor).map_err(DecodeError::custom),
        }
    }

    null_is! {
        deserialize_bool() => visit_bool(false);
        deserialize_i8() => visit_i64(0);
        deserialize_i16() => visit_i64(0);
        deserialize_i32() => visit_i64(0);
        deserialize_i64() => visit_i64(0);
        deserialize_u8() => visit_u64(0);
        deserialize_u16() => visit_u64(0);
        deserialize_u32() => visit_u64(0);
        deserialize_u64() => visit_u64(0);
        deserialize_f32() => visit_f64(0.0);
        deserialize_f64() => visit_f64(0.0);
        deserialize_str() => visit_borrowed_str("");
        deserialize_string() => visit_borrowed_str("");
        deserialize_seq() => visit_seq(GoItems([].iter().enumerate()));
        deserialize_map() => visit_map(GoEntries::new(Vec::new()));
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        match self.0 {
            Value::Null => visitor.visit_map(GoEntries::new(Vec::new())),
            Value::Object(map) => {
                GoObject { map, unknown: None }.deserialize_struct(name, fields, visitor)
            }
            // Go takes no array for a struct, serde would.
            Value::Array(_) => Err(DecodeError::custom("invalid type: array, expected an object")),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.0.deserialize_enum(name, variants, visitor).map_err(DecodeError::custom)
    }

    serde::forward_to_deserialize_any! {
        i128 u128 char bytes byte_buf unit unit_struct tuple tuple_struct identifier ignored_any
    }
}

/// An object, and where to put the keys that the struct read from it does not have.
pub(crate) struct GoObject<'de, 'u> {
    map: &'de Map<String, Value>,
    unknown: Option<&'u mut Map<String, Value>>,
}

impl<'de> Deserializer<'de> for GoObject<'de, '_> {
    type Error = DecodeError;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        let mut entries: Vec<(&'de str, &'de Value)> = Vec::with_capacity(self.map.len());
        let mut unknown = self.unknown;
        for (key, value) in self.map {
            let known = fields.iter().copied().find(|field| same_key(field, key));
            match (known, &mut unknown) {
                (Some(_), _) if value.is_null() => {}
                (Some(field), _) => match entries.iter_mut().find(|entry| entry.0 == field) {
                    Some(earlier) => earlier.1 = value,
                    None => entries.push((field, value)),
                },
                (None, None) => entries.push((key, value)),
                (None, Some(kept)) => {
                    kept.insert(key.clone(), value.clone());
                }
            }
        }
        visitor.visit_map(GoEntries::new(entries))
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        let entries = self.map.iter().map(|(key, value)| (key.as_str(), value)).collect();
        visitor.visit_map(GoEntries::new(entries))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_newtype_struct(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        unit unit_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

struct GoItems<'de>(std::iter::Enumerate<std::slice::Iter<'de, Value>>);

impl<'de> SeqAccess<'de> for GoItems<'de> {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, DecodeError> {
        let Some((index, item)) = self.0.next() else {
            return Ok(None);
        };
        let element = seed.deserialize(GoValue(item));
        element.map(Some).map_err(|error| error.below(&format!("[{index}]")))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.0.len())
    }
}

struct GoEntries<'de> {
    rest: std::vec::IntoIter<(&'de str, &'de Value)>,
    value: Option<(&'de str, &'de Value)>,
}

impl<'de> GoEntries<'de> {
    fn new(entries: Vec<(&'de str, &'de Value)>) -> Self {
        Self { rest: entries.into_iter(), value: None }
    }
}

impl<'de> MapAccess<'de> for GoEntries<'de> {
    type Error = DecodeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, DecodeError> {
        let Some((key, value)) = self.rest.next() else {
            return Ok(None);
        };
        self.value = Some((key, value));
        seed.deserialize(BorrowedStrDeserializer::new(key)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, DecodeError> {
        let Some((key, value)) = self.value.take() else {
            return Err(DecodeError::custom("a value was asked for before its key"));
        };
        seed.deserialize(GoValue(value)).map_err(|error| error.below(key))
    }
}
