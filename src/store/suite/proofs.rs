//! What every store must do with proofs.

use super::sample::{self, Dice};
use crate::access::proof::{Circumstances, ClockQuality, Hash, Sealed, Secret, Signer};
use crate::access::{CollegeCode, GatewayName, Row, RowKey, Stream, Timestamp};
use crate::store::{ChainName, ProofStore, ReadError, RootsAsked};

const HOUR: i64 = 3_600_000_000;

/// All checks of proofs, one after the other.
pub async fn check_proofs<S: ProofStore>(fresh: impl AsyncFn() -> S) {
    a_tree_that_comes_again_is_there_once(&fresh().await).await;
    roots_around_a_time_come_without_a_gap(&fresh().await).await;
}

/// A tree every twelve hours, from a Monday on; every third holds nothing.
pub fn chain_of(gateway: &str, stream: Stream, trees: u64) -> Vec<Sealed> {
    chain_and_rows(gateway, stream, trees).0
}

/// [`chain_of`], and the rows in its trees.
pub fn chain_and_rows(gateway: &str, stream: Stream, trees: u64) -> (Vec<Sealed>, Vec<Row>) {
    let signer = Signer::from_seed(&[7; 32]).expect("a key");
    let mut dice = Dice::seeded(61);
    let begin = "2026-11-23T00:00:00Z".parse::<Timestamp>().expect("an instant").as_micros();
    let key = RowKey {
        college: CollegeCode::parse("0131234A").expect("a code"),
        gateway: GatewayName::parse(gateway).expect("a name"),
        lane: 1,
        sequence: 0,
        slice: 0,
    };
    let mut before = (0, Hash::default());
    let (mut chain, mut all) = (Vec::new(), Vec::new());
    for number in 1..=trees {
        let opened = begin + (number as i64 - 1) * 12 * HOUR;
        let mut growing = Sealed::grow(Secret::of_bytes([number as u8; 32]));
        let rows = sample::rows(&mut dice, stream, if number % 3 == 0 { 0 } else { 4 });
        for (place, mut row) in (1i64..).zip(rows) {
            sample::set_start(&mut row, Timestamp::from_micros(opened + place * HOUR));
            sample::set_key(&mut row, RowKey { sequence: 4 * number + place as u64, slice: 0, ..key.clone() });
            growing.row(&row);
            all.push(row);
        }
        let about = Circumstances {
            college: key.college.clone(),
            gateway: key.gateway.clone(),
            stream,
            lane: 1,
            segment: number as u32,
            sealed: Timestamp::from_micros(opened + 11 * HOUR),
            clock: ClockQuality::default(),
            rules: String::new(),
        };
        let sealed = growing.seal(about, before, &[], &signer).expect("a tree");
        before = (number, sealed.root.hash());
        chain.push(sealed);
    }
    (chain, all)
}

/// Whose chain [`chain_of`] makes.
pub fn name_of(gateway: &str, stream: Stream) -> ChainName {
    let college = CollegeCode::parse("0131234A").expect("a code");
    ChainName { college, gateway: GatewayName::parse(gateway).expect("a name"), stream }
}

fn asked(stream: Stream, from: Option<i64>, to: Option<i64>, most: usize) -> RootsAsked {
    let instant = |micros: Option<i64>| micros.map(Timestamp::from_micros);
    RootsAsked { stream, college: None, from: instant(from), to: instant(to), most }
}

async fn a_tree_that_comes_again_is_there_once(store: &impl ProofStore) {
    let (chain, name) = (chain_of("gw-1", Stream::Accesses, 10), name_of("gw-1", Stream::Accesses));
    let everything = asked(Stream::Accesses, None, None, 100);
    assert_eq!(store.newest(&name).await.expect("an answer"), None);
    assert_eq!(store.roots(&everything).await.expect("an answer"), []);
    store.keep(&[]).await.expect("kept");
    store.keep(&chain[..6]).await.expect("kept");
    assert_eq!(store.newest(&name).await.expect("an answer"), Some((6, chain[5].root.hash())));
    store.keep(&chain[..6]).await.expect("kept again");
    store.keep(&chain[3..]).await.expect("kept, half of it again");
    store.keep(&chain[2..4]).await.expect("kept again");
    assert_eq!(store.newest(&name).await.expect("an answer"), Some((10, chain[9].root.hash())));
    assert_eq!(store.roots(&everything).await.expect("an answer"), chain);
    let too_few = store.roots(&asked(Stream::Accesses, None, None, 9)).await;
    assert!(matches!(too_few, Err(ReadError::Unreadable(_))), "{too_few:?}");
    let other = asked(Stream::Connections, None, None, 100);
    assert_eq!(store.roots(&other).await.expect("an answer"), [], "another stream's");
    let elsewhere = RootsAsked { college: CollegeCode::parse("0131234B").ok(), ..everything };
    assert_eq!(store.roots(&elsewhere).await.expect("an answer"), [], "another college's");
}

async fn roots_around_a_time_come_without_a_gap(store: &impl ProofStore) {
    let chains = ["gw-1", "gw-2"].map(|gateway| chain_of(gateway, Stream::Connections, 14));
    for chain in &chains {
        store.keep(chain).await.expect("kept");
    }
    let begin = "2026-11-22T00:00:00Z".parse::<Timestamp>().expect("an instant").as_micros();
    let mut dice = Dice::seeded(62);
    for _ in 0..25 {
        let mut instant = || (dice.below(10) > 0).then(|| begin + dice.below(9 * 24) as i64 * HOUR);
        let (from, to) = (instant(), instant());
        let found = store.roots(&asked(Stream::Connections, from, to, 100)).await.expect("an answer");
        let expected: Vec<Sealed> = chains.iter().flat_map(|chain| around(chain, from, to)).collect();
        assert_eq!(found, expected, "{from:?} to {to:?}");
    }
}

/// As [`ProofStore::roots`] says.
fn around(chain: &[Sealed], from: Option<i64>, to: Option<i64>) -> Vec<Sealed> {
    let (from, to) = (from.unwrap_or(i64::MIN), to.unwrap_or(i64::MAX));
    let roots: Vec<_> = chain.iter().map(|tree| tree.root.unverified_root().expect("a root")).collect();
    let touches = |place: &usize| match (roots[*place].first_time, roots[*place].last_time) {
        (Some(first), Some(last)) => last.as_micros() >= from && first.as_micros() < to,
        _ => false,
    };
    let sealed = |place: &usize| roots[*place].sealed.as_micros();
    let places = || 0..roots.len();
    let before = places().filter(|place| sealed(place) <= from).max();
    let after = places().find(|place| sealed(place) >= to.saturating_add(24 * HOUR));
    let first = places().find(touches).map_or(before.unwrap_or(0), |first| first.min(before.unwrap_or(0)));
    let last = after.unwrap_or(roots.len() - 1).max(places().filter(touches).max().unwrap_or(0));
    chain.get(first..=last).unwrap_or_default().to_vec()
}
