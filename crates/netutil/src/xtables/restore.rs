//! Chains of others in the tables of the older iptables: listed by its program, and edited in one run of it.

use std::fs;

use super::{XtablesError, program, run};
use crate::sysctl::Family;

/// What the program says of a chain that does not exist.
const NO_SUCH_CHAIN: &str = "No chain/target/match by that name";

/// The rules of a chain as the program prints them, the chain's own line (`-N CHAIN`) first; none where there is no
/// such chain or where the older iptables has no such table in the calling thread's network namespace.
///
/// No program is run where the kernel has no such table.
///
/// # Errors
/// [`XtablesError`].
pub async fn chain_rules(
    family: Family,
    table: &str,
    chain: &str,
) -> Result<Vec<String>, XtablesError> {
    if !has_table(family, table) {
        return Ok(Vec::new());
    }
    match run(family, &["-t", table, "-S", chain]).await {
        Ok(printed) => Ok(printed.lines().map(str::to_owned).collect()),
        Err(XtablesError::Refused { words, .. }) if words.contains(NO_SUCH_CHAIN) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Carries out these lines on a table, all of them or none: commands as the program prints rules, with another letter
/// (`-D CHAIN ..` for a printed `-A CHAIN ..`, `-F CHAIN`, `-X CHAIN`).
///
/// # Errors
/// [`XtablesError`].
pub async fn edit(family: Family, table: &str, lines: &[String]) -> Result<(), XtablesError> {
    let program = match family {
        Family::V4 => "iptables-legacy-restore",
        Family::V6 => "ip6tables-legacy-restore",
    };
    let input = format!("*{table}\n{}\nCOMMIT\n", lines.join("\n"));
    match program::run(program, &["-w", "5", "--noflush"], &input).await {
        // The lines tell more than the arguments.
        Err(XtablesError::Refused { program, words, .. }) => {
            Err(XtablesError::Refused { program, arguments: lines.join("; "), words })
        }
        outcome => outcome.map(drop),
    }
}

fn has_table(family: Family, table: &str) -> bool {
    let path = match family {
        Family::V4 => "/proc/thread-self/net/ip_tables_names",
        Family::V6 => "/proc/thread-self/net/ip6_tables_names",
    };
    // A kernel without the older iptables has no such file.
    fs::read_to_string(path).is_ok_and(|names| names.lines().any(|name| name == table))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netns::in_own_netns;

    #[test]
    fn chains_are_listed_and_edited() {
        in_own_netns(async || {
            let rules = async |chain| chain_rules(Family::V4, "nat", chain).await.unwrap();
            assert!(rules("PREROUTING").await.is_empty(), "asking makes no table");
            let made = ["-N ONE", "-N TWO", "-A ONE -p tcp -m tcp --dport 80 -j TWO"];
            edit(Family::V4, "nat", &made.map(str::to_owned)).await.unwrap();
            assert_eq!(rules("ONE").await, ["-N ONE", made[2]]);
            assert!(rules("THREE").await.is_empty());
            let removed = ["-D ONE -p tcp -m tcp --dport 80 -j TWO", "-X TWO", "-X ONE"];
            edit(Family::V4, "nat", &removed.map(str::to_owned)).await.unwrap();
            assert!(rules("ONE").await.is_empty());
            let refused = edit(Family::V4, "nat", &["-X ONE".to_owned()]).await.unwrap_err();
            assert!(
                refused.to_string().starts_with("iptables-legacy-restore -X ONE: "),
                "{refused}"
            );
        });
    }
}
