//! Names that mean the same on both sides: of folders, of MAC addresses that were made up, of generated interfaces.

use std::collections::BTreeMap;

use serde_json::Value;

/// What stands for what, in texts.
#[derive(Debug, Default, Clone)]
pub(crate) struct Names {
    replaced: BTreeMap<String, String>,
}

impl Names {
    /// From now on this text reads so. The first meaning stays.
    pub(crate) fn learn(&mut self, text: &str, meaning: impl Into<String>) {
        self.replaced.entry(text.to_owned()).or_insert_with(|| meaning.into());
    }

    pub(crate) fn knows(&self, text: &str) -> bool {
        self.replaced.contains_key(text)
    }

    /// How many interfaces have a name of this kind so far.
    pub(crate) fn count(&self, kind: &str) -> usize {
        self.replaced.values().filter(|meaning| meaning.starts_with(kind)).count()
    }

    /// The value with all of its texts in these names.
    pub(crate) fn in_value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.in_text(text)),
            Value::Array(list) => list.iter().map(|item| self.in_value(item)).collect(),
            Value::Object(object) => object
                .iter()
                .map(|(key, item)| (self.in_text(key), self.in_value(item)))
                .collect::<serde_json::Map<_, _>>()
                .into(),
            other => other.clone(),
        }
    }

    pub(crate) fn in_text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (name, meaning) in &self.replaced {
            if text.contains(name.as_str()) {
                text = text.replace(name.as_str(), meaning);
            }
        }
        text
    }
}
