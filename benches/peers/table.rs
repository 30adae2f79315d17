//! What was measured, as one table: a row for each measure, a column for each program, and whether the goal is met.

use std::collections::BTreeMap;

use super::report::{Figure, machine};

/// A column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Column {
    NoProxy,
    /// The bare hyper proxy in rows of HTTP, the bare splice relay in those of tunnels.
    Bare,
    Gateway,
    Squid,
    SquidGuard,
    E2guardian,
    Tinyproxy,
    Privoxy,
}

/// What a goal compares with.
#[derive(Debug, Clone, Copy)]
pub enum Goal {
    /// At most so many times what another column has.
    Ratio(Column, f64),
    /// At most so much.
    Most(f64),
    /// Either of them will do.
    Either(f64, Column, f64),
}

/// One measure.
pub struct Row {
    what: String,
    unit: &'static str,
    goals: Vec<Goal>,
    /// What others have measured of g3proxy, on another machine of the kind.
    g3proxy: &'static str,
    cells: BTreeMap<Column, Vec<f64>>,
}

impl Row {
    pub fn new(what: impl Into<String>, unit: &'static str, goals: &[Goal], g3proxy: &'static str) -> Self {
        Row { what: what.into(), unit, goals: goals.to_vec(), g3proxy, cells: BTreeMap::new() }
    }

    pub fn add(&mut self, column: Column, value: f64) {
        self.cells.entry(column).or_default().push(value);
    }

    pub fn progress(&self) {
        let cells: Vec<String> =
            self.cells.iter().map(|(column, values)| format!("{column:?} {}", shown(values))).collect();
        eprintln!("{} ({}): {}", self.what, self.unit, cells.join(", "));
    }

    /// Our median of the ratios of each round.
    fn ratio(&self, to: Column) -> Option<Figure> {
        let (ours, theirs) = (self.cells.get(&Column::Gateway)?, self.cells.get(&to)?);
        let ratios: Vec<f64> =
            ours.iter().zip(theirs).filter(|(_, theirs)| **theirs > 0.0).map(|(ours, theirs)| ours / theirs).collect();
        (!ratios.is_empty()).then(|| Figure::of(ratios))
    }

    fn ours(&self) -> Option<f64> {
        self.cells.get(&Column::Gateway).map(|values| Figure::of(values.clone()).median())
    }

    /// Whether a goal is met, and how it is worded.
    fn judged(&self, goal: Goal) -> String {
        let verdict = |met: Option<bool>| match met {
            Some(true) => "met",
            Some(false) => "**missed**",
            None => "not measured",
        };
        let within = |column: Column, most: f64| self.ratio(column).map(|ratio| ratio.median() <= most);
        match goal {
            Goal::Ratio(column, most) => format!("≤ {most} × {column:?}: {}", verdict(within(column, most))),
            Goal::Most(most) => format!("≤ {most}: {}", verdict(self.ours().map(|ours| ours <= most))),
            Goal::Either(most, column, part) => {
                let met = self.ours().map(|ours| ours <= most || within(column, part) == Some(true));
                format!("≤ {most} or ≤ {part} × {column:?}: {}", verdict(met))
            }
        }
    }

    fn line(&self) -> String {
        let cell = |column: Column| self.cells.get(&column).map_or("–".to_owned(), |values| shown(values));
        let ratio = |column: Column| self.ratio(column).map_or("–".to_owned(), |ratio| ratio.shown(2));
        let goals: Vec<String> = self.goals.iter().map(|&goal| self.judged(goal)).collect();
        format!(
            "| {} ({}) | {} | {} | **{}** | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            self.what,
            self.unit,
            cell(Column::NoProxy),
            cell(Column::Bare),
            cell(Column::Gateway),
            ratio(Column::Bare),
            ratio(Column::Squid),
            cell(Column::Squid),
            cell(Column::SquidGuard),
            cell(Column::E2guardian),
            cell(Column::Tinyproxy),
            cell(Column::Privoxy),
            self.g3proxy,
            goals.join("; ")
        )
    }
}

fn shown(values: &[f64]) -> String {
    let figure = Figure::of(values.to_vec());
    let digits = match figure.median() {
        m if m >= 100.0 => 0,
        m if m >= 10.0 => 1,
        _ => 2,
    };
    figure.shown(digits)
}

/// Prints everything.
pub fn print(rows: &[Row], notes: &[String]) {
    println!("\nMachine: {}.\n", machine());
    println!(
        "Median of the rounds (lowest–highest); ratios are taken round by round. –: not measured, or it cannot do that."
    );
    println!("g3proxy's column is quoted from the project's issue, not measured here.\n");
    println!(
        "| | no proxy | bare | **Écluse** | ÷ bare | ÷ Squid | Squid, dstdomain | Squid + squidGuard | e2guardian | \
         tinyproxy, no lists | privoxy, no lists | g3proxy (quoted) | goal |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|---|");
    rows.iter().for_each(|row| println!("{}", row.line()));
    println!();
    notes.iter().for_each(|note| println!("- {note}"));
}
