//! What a person may have meant by a name that does not exist.

/// The one of `names` that differs least from `wanted`, if it is near enough to be meant.
///
/// Near is up to a third of the letters, and at least one; upper and lower case are the same.
///
/// ```
/// use podnet_plugin_api::nearest;
///
/// assert_eq!(nearest("kubnet", ["cni", "kubenet"].into_iter()), Some("kubenet"));
/// assert_eq!(nearest("weave", ["cni", "kubenet"].into_iter()), None);
/// ```
#[must_use]
pub fn nearest<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (wanted.chars().count() / 3).max(1);
    let with_distance = names.map(|name| (distance(wanted, name), name));
    with_distance.filter(|(distance, _)| *distance <= limit).min().map(|(_, name)| name)
}

/// How many letters to insert, remove or replace to make one of the other (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.to_lowercase().chars().collect();
    let mut above: Vec<usize> = (0..=other.len()).collect();
    for (row, letter) in one.to_lowercase().chars().enumerate() {
        above = next_row(row, letter, &other, &above);
    }
    above.last().copied().unwrap_or_default()
}

fn next_row(row: usize, letter: char, other: &[char], above: &[usize]) -> Vec<usize> {
    let mut left = row + 1;
    let mut cells = vec![left];
    for (candidate, pair) in other.iter().zip(above.windows(2)) {
        if let [diagonal, up] = pair {
            let replaced = diagonal + usize::from(*candidate != letter);
            left = replaced.min(up + 1).min(left + 1);
            cells.push(left);
        }
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_edits() {
        for (one, other, edits) in [
            ("", "", 0),
            ("kubenet", "kubnet", 1),
            ("cni", "CNI", 0),
            ("", "abc", 3),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(one, other), edits, "{one} {other}");
        }
    }

    #[test]
    fn only_a_near_name_is_suggested() {
        let names = ["kubernetes.io/no-op", "kubenet"];
        assert_eq!(nearest("kubnet", names.into_iter()), Some("kubenet"));
        assert_eq!(nearest("calico", names.into_iter()), None);
    }
}
