//! Figures with their spread, and the tables that are printed.

/// Some measurements of one thing.
pub struct Figure {
    sorted: Vec<f64>,
}

impl Figure {
    pub fn of(mut values: Vec<f64>) -> Self {
        assert!(!values.is_empty(), "nothing was measured");
        values.sort_by(f64::total_cmp);
        Figure { sorted: values }
    }

    pub fn median(&self) -> f64 {
        let middle = self.sorted.len() / 2;
        if self.sorted.len() % 2 == 1 {
            self.sorted[middle]
        } else {
            (self.sorted[middle - 1] + self.sorted[middle]) / 2.0
        }
    }

    /// `1.23 (1.20–1.31)`.
    pub fn shown(&self, digits: usize) -> String {
        let (least, most) = (self.sorted[0], self.sorted[self.sorted.len() - 1]);
        if self.sorted.len() == 1 {
            return format!("{:.digits$}", self.median());
        }
        format!("{:.digits$} ({least:.digits$}–{most:.digits$})", self.median())
    }
}

/// What is printed at the end.
pub struct Report {
    whole: bool,
    pairs: Vec<String>,
    singles: Vec<String>,
    notes: Vec<String>,
}

impl Report {
    pub fn new(whole: bool) -> Self {
        Report { whole, pairs: Vec::new(), singles: Vec::new(), notes: Vec::new() }
    }

    /// A bare peer against the gateway, round by round.
    pub fn pair(&mut self, what: &str, unit: &str, bare: Vec<f64>, gateway: Vec<f64>, most: Option<f64>) {
        let ratios = Figure::of(bare.iter().zip(&gateway).map(|(bare, gateway)| gateway / bare).collect());
        let (bare, gateway) = (Figure::of(bare), Figure::of(gateway));
        let (most, within) = match most {
            Some(most) if ratios.median() <= most => (most.to_string(), "yes"),
            Some(most) => (most.to_string(), "**no**"),
            None => (String::new(), ""),
        };
        self.pairs.push(format!(
            "| {what} | {} {unit} | {} {unit} | {} | {most} | {within} |",
            bare.shown(1),
            gateway.shown(1),
            ratios.shown(2)
        ));
        eprintln!("{what}: {}", ratios.shown(2));
    }

    pub fn single(&mut self, what: &str, unit: &str, figure: &Figure, most: Option<f64>) {
        let (limit, within) = match most {
            Some(most) if figure.median() <= most => (format!("{most} {unit}"), "yes"),
            Some(most) => (format!("{most} {unit}"), "**no**"),
            None => (String::new(), ""),
        };
        self.singles.push(format!("| {what} | {} {unit} | {limit} | {within} |", figure.shown(1)));
        eprintln!("{what}: {} {unit}", figure.shown(1));
    }

    pub fn note(&mut self, text: String) {
        self.notes.push(text);
    }

    pub fn print(&self) {
        println!("\nMachine: {}.", machine());
        let lists = if self.whole { "the whole UT1 set" } else { "the few lists of the tests (no test data here)" };
        println!(
            "The gateway runs with {lists}. Median of the rounds (lowest–highest); ratios are taken round by round.\n"
        );
        println!("| | bare peer | gateway | ratio | at most | within |\n|---|---|---|---|---|---|");
        self.pairs.iter().for_each(|row| println!("{row}"));
        println!("\n| | gateway | at most | within |\n|---|---|---|---|");
        self.singles.iter().for_each(|row| println!("{row}"));
        self.notes.iter().for_each(|note| println!("\n{note}"));
    }
}

/// Processor, memory and kernel.
pub fn machine() -> String {
    let read = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).map(str::to_owned).unwrap_or_default();
        line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_else(|| "unknown".to_owned())
    };
    let processor = field(&read("/proc/cpuinfo"), "model name");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = field(&read("/proc/meminfo"), "MemTotal");
    let gib = memory.split_whitespace().next().and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0 / 1024.0;
    format!("{processor}, {cores} cores, {gib:.0} GiB, Linux {}", read("/proc/sys/kernel/osrelease").trim())
}
