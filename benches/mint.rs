//! How many certificates a core mints in a second. Each is one of its own.
//!
//! `cargo bench --bench mint`

#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

use std::time::{Duration, Instant};

use ecluse::access::Host;
use ecluse::clock::Clock;
use ecluse::tls::{Authority, Mint, Wish, make};

const ROUNDS: u64 = 9;
const NAMES: u64 = 1_000;

fn main() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (certificate, key) = (folder.path().join("a.pem"), folder.path().join("a.key"));
    let now = Clock::System.now();
    let wish = Wish { name: "Bench".to_owned(), days: 30, only: Vec::new(), except: Vec::new() };
    let made = make(&wish, now).expect("an authority");
    std::fs::write(&certificate, made.certificate).expect("a writable folder");
    std::fs::write(&key, made.key).expect("a writable folder");
    let mint = Mint::new(Authority::open(&certificate, &key).expect("both files")).expect("a mint");

    let names: Vec<Host> =
        (0..ROUNDS * NAMES).map(|i| Host::parse(&format!("www{i}.exemple.fr")).expect("a host")).collect();
    let mut rates: Vec<f64> = names.chunks(NAMES as usize).map(|names| rate(&mint, names, now)).collect();
    rates.sort_by(f64::total_cmp);
    println!(
        "{:.0} certificates/s on one core (best {:.0}); the aim is 5000",
        rates[rates.len() / 2],
        rates[rates.len() - 1]
    );

    // One that is kept costs next to nothing.
    let again = &names[names.len() - 1];
    let begun = Instant::now();
    for _ in 0..100_000 {
        assert!(mint.server(again, now).is_ok());
    }
    println!("{:.0} ns for one that is kept", begun.elapsed().as_nanos() as f64 / 100_000.0);
}

/// Certificates a second over these names, none of which was minted before.
fn rate(mint: &Mint, names: &[Host], now: ecluse::access::Timestamp) -> f64 {
    let begun = Instant::now();
    let servers: Vec<_> = names.iter().map(|name| mint.server(name, now).expect("a certificate")).collect();
    let took = begun.elapsed().max(Duration::from_nanos(1));
    assert_eq!(servers.len(), names.len());
    for pair in servers.windows(2) {
        assert!(!std::sync::Arc::ptr_eq(&pair[0], &pair[1]), "one certificate for two names");
    }
    names.len() as f64 / took.as_secs_f64()
}
