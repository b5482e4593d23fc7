//! Chains of others in the tables of the older iptables: listed by its program, and edited in one run of it.

use std::fs;
use std::io;
use std::process::Stdio;

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::{RUN_LIMIT, XtablesError, run};
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
    let mut command = Command::new(program);
    command.args(["-w", "5", "--noflush"]).kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let ended = tokio::time::timeout(RUN_LIMIT, fed(&mut command, &input)).await;
    let output = match ended {
        Err(_) => return Err(XtablesError::Overdue { program, seconds: RUN_LIMIT.as_secs() }),
        Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => {
            return Err(XtablesError::Missing { program });
        }
        Ok(Err(source)) => return Err(XtablesError::NotStarted { program, source }),
        Ok(Ok(output)) => output,
    };
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
    Err(XtablesError::Refused { program, arguments: lines.join("; "), words })
}

async fn fed(command: &mut Command, input: &str) -> io::Result<std::process::Output> {
    let mut child = command.spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ends without reading is judged by its status.
        let _ = stdin.write_all(input.as_bytes()).await;
    }
    child.wait_with_output().await
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
