//! Columns for a person.

use std::fmt;

/// Rows below a head. A column in which every cell is empty is left out.
#[derive(Debug)]
pub(crate) struct Table<const COLUMNS: usize> {
    heads: [&'static str; COLUMNS],
    rows: Vec<[String; COLUMNS]>,
}

impl<const COLUMNS: usize> Table<COLUMNS> {
    pub(crate) fn new(
        heads: [&'static str; COLUMNS],
        rows: impl IntoIterator<Item = [String; COLUMNS]>,
    ) -> Self {
        Self { heads, rows: rows.into_iter().collect() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The width of each column; none for one that is left out.
    fn widths(&self) -> Vec<Option<usize>> {
        let width = |(column, head): (usize, &&str)| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            let widest = cells.map(|cell| cell.chars().count()).max().filter(|width| *width > 0);
            widest.map(|width| width.max(head.chars().count()))
        };
        self.heads.iter().enumerate().map(width).collect()
    }
}

impl<const COLUMNS: usize> fmt::Display for Table<COLUMNS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths = self.widths();
        f.write_str(&line(self.heads, &widths))?;
        self.rows
            .iter()
            .try_for_each(|row| write!(f, "\n{}", line(row.iter().map(String::as_str), &widths)))
    }
}

fn line<'a>(cells: impl IntoIterator<Item = &'a str>, widths: &[Option<usize>]) -> String {
    let shown = cells.into_iter().zip(widths).filter_map(|(cell, width)| Some((cell, (*width)?)));
    let padded: Vec<String> = shown.map(|(cell, width)| format!("{cell:width$}")).collect();
    padded.join("  ").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_empty_ones_left_out() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned);
        let table = Table::new(["A", "B", "LAST"], [row(["long", "", "x"]), row(["s", "", ""])]);
        assert_eq!(table.to_string(), "A     LAST\nlong  x\ns");
    }
}
