//! The columns: whose programs a figure is of.

/// Whose programs they are, in the order of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Who {
    /// The Go programs.
    Go,
    /// Ours, called one by one as the Go programs are.
    PodnetCni,
    /// Ours, called once, as `kubenet`.
    Kubenet,
    /// A program that does nothing: what starting costs whoever it is.
    Empty,
}

impl Who {
    /// All of them.
    pub(super) const ALL: [Self; 4] = [Self::Go, Self::PodnetCni, Self::Kubenet, Self::Empty];

    /// What stands above the column.
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Go => "Go",
            Self::PodnetCni => "podnet-cni",
            Self::Kubenet => "kubenet",
            Self::Empty => "empty",
        }
    }
}
