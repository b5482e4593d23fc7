//! `CNI_ARGS`: extra arguments of a runtime, `"KEY=VALUE;KEY=VALUE"` (CNI 1.1.0, section 2).

use std::fmt;

use crate::error::{CniError, ErrorCode};

#[cfg(test)]
mod tests;

/// The argument by which a runtime says that a plugin may ignore what it does not know.
const IGNORE_UNKNOWN: &str = "IgnoreUnknown";

/// The arguments of `CNI_ARGS`, in their order, each key once. Keys are matched with regard to case.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct CniArgs(Vec<(String, String)>);

fn refused(msg: String) -> CniError {
    CniError::new(ErrorCode::INVALID_ENVIRONMENT, msg)
}

impl CniArgs {
    /// Reads the variable. Empty text means no arguments; of two equal keys the last wins.
    ///
    /// # Errors
    /// Code 4 if a pair has no `=` or more than one, or an empty key, as Go's `LoadArgs`.
    pub fn parse(text: &str) -> Result<Self, CniError> {
        let mut args = Self::default();
        if text.is_empty() {
            return Ok(args);
        }
        for pair in text.split(';') {
            let Some((key, value)) = pair.split_once('=') else {
                return Err(refused(format!("cannot read CNI_ARGS: {pair:?} is not KEY=VALUE")));
            };
            args.insert(key, value)?;
        }
        Ok(args)
    }

    /// Sets an argument; an equal key keeps its place and gets the new value.
    ///
    /// # Errors
    /// Code 4 if the key is empty, or key or value contain `;`, `=` or NUL: the format knows no
    /// escapes.
    pub fn insert(
        &mut self,
        key: impl Into<String>,
        value: impl Into<String>,
    ) -> Result<(), CniError> {
        let (key, value) = (key.into(), value.into());
        if key.is_empty() {
            return Err(refused(format!("CNI_ARGS cannot have an empty key for value {value:?}")));
        }
        if key.contains([';', '=', '\0']) || value.contains([';', '=', '\0']) {
            let msg =
                format!("CNI_ARGS cannot have ';', '=' or NUL in key {key:?} or value {value:?}");
            return Err(refused(msg));
        }
        match self.0.iter_mut().find(|(known, _)| *known == key) {
            Some((_, old)) => *old = value,
            None => self.0.push((key, value)),
        }
        Ok(())
    }

    /// The value of `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.iter().find(|(known, _)| *known == key).map(|(_, value)| value)
    }

    /// Every key with its value, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Whether there are no arguments.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `IgnoreUnknown` is `1` or `true` in any case.
    #[must_use]
    pub fn ignores_unknown(&self) -> bool {
        self.get(IGNORE_UNKNOWN)
            .is_some_and(|value| value == "1" || value.eq_ignore_ascii_case("true"))
    }

    /// Refuses arguments that are not in `known`, unless the runtime said to ignore them.
    ///
    /// # Errors
    /// Code 4, naming all of the unknown keys.
    pub fn refuse_unknown(&self, known: &[&str]) -> Result<(), CniError> {
        if self.ignores_unknown() {
            return Ok(());
        }
        let unknown: Vec<&str> = self
            .iter()
            .map(|(key, _)| key)
            .filter(|key| *key != IGNORE_UNKNOWN && !known.contains(key))
            .collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let names = unknown.join(", ");
        Err(refused(format!(
            "CNI_ARGS has unknown arguments ({names}): set IgnoreUnknown=1 to have them ignored"
        )))
    }
}

impl fmt::Display for CniArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, (key, value)) in self.iter().enumerate() {
            let separator = if position == 0 { "" } else { ";" };
            write!(f, "{separator}{key}={value}")?;
        }
        Ok(())
    }
}
