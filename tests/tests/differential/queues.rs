//! What a namespace's links do with packets that wait: qdiscs, and the filters of what comes in, as `tc` shows them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::world::batch;

/// What changes by itself, or numbers of the kernel's own.
const NOT_SEEN: [&str; 8] = ["refcnt", "index", "ref", "bind", "not_in_hw", "fh", "key_ht", "dev"];
/// The first digits of the handles that the kernel gives to who names none.
const GIVEN_BY_KERNEL: [char; 8] = ['8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];

/// By link: its qdiscs by their places, and its filters.
pub(crate) fn look() -> BTreeMap<String, Value> {
    let shown = batch("tc", b"qdisc show\n").remove(0);
    let mut links: BTreeMap<String, Value> = BTreeMap::new();
    for mut qdisc in shown.into_iter().filter(|qdisc| qdisc["kind"] != "noqueue") {
        let link = qdisc["dev"].as_str().unwrap_or_default().to_owned();
        let handle = qdisc["handle"].as_str().unwrap_or_default().to_owned();
        if handle.len() > 4 && handle != "ffff:" && handle.starts_with(GIVEN_BY_KERNEL) {
            qdisc["handle"] = json!("the kernel's");
        }
        let place = if qdisc["root"] == true { "root" } else { "ingress" };
        clean(&mut qdisc);
        let seen = links.entry(link.clone()).or_insert_with(|| json!({}));
        seen[place] = qdisc;
        if place == "ingress" {
            let command = format!("filter show dev {link} parent {handle}\n");
            let mut filters = batch("tc", command.as_bytes()).remove(0);
            // A classifier and its hash tables are shown as filters without options that say anything.
            filters.retain(|filter| filter["options"].get("actions").is_some());
            filters.iter_mut().for_each(clean);
            seen["filters"] = filters.into();
        }
    }
    links
}

fn clean(value: &mut Value) {
    match value {
        Value::Object(object) => {
            object.retain(|key, _| !NOT_SEEN.contains(&key.as_str()));
            object.values_mut().for_each(clean);
        }
        Value::Array(list) => list.iter_mut().for_each(clean),
        _ => {}
    }
}
