//! What every store must do, as checks that run on any [`RecordStore`]: the embedded one and a server's alike.
//!
//! It is compiled into the library, so that integration tests can hold it against a real server. A check panics, in
//! words, where a store breaks a promise. `fresh` gives an empty store each time.

use std::collections::BTreeMap;

use super::{Batch, Dimension, Filter, Order, Query, Question, RecordStore, StoreError, Tally};
use crate::access::{Gap, GapRow, Row, Stream, Timestamp};

pub mod naive;
mod proofs;
pub mod sample;

pub use proofs::{chain_and_rows, chain_of, check_proofs, name_of};

use sample::Dice;

/// All checks, one after the other.
pub async fn check_all<S: RecordStore>(fresh: impl AsyncFn() -> S) {
    a_row_comes_back_as_it_was(&fresh().await).await;
    a_batch_that_comes_twice_is_there_once(&fresh().await).await;
    a_batch_that_is_not_of_one_lane_and_stream_is_poison(&fresh().await).await;
    midnight_belongs_to_the_day_it_begins(&fresh().await).await;
    what_a_stream_has_no_column_for_is_an_error(&fresh().await).await;
    a_gap_is_found_where_its_time_is_asked_for(&fresh().await).await;
    for seed in 1..=8 {
        every_question_is_answered_as_a_naive_search_would(&fresh().await, &mut Dice::seeded(seed)).await;
    }
}

pub async fn a_row_comes_back_as_it_was(store: &impl RecordStore) {
    let mut dice = Dice::seeded(7);
    for stream in Stream::ALL {
        let rows = sample::rows(&mut dice, *stream, 50);
        insert(store, &rows).await;
        let mut expected = rows.clone();
        expected.sort_by(|a, b| Order::OldestFirst.compare(a, b));
        assert_eq!(search(store, &everything(*stream)).await, expected, "{stream}");
    }
}

pub async fn a_batch_that_comes_twice_is_there_once(store: &impl RecordStore) {
    let rows = sample::rows(&mut Dice::seeded(3), Stream::Accesses, 60);
    // Sent, sent again although acknowledged, and once more after others came between.
    insert(store, &rows[..30]).await;
    insert(store, &rows[..30]).await;
    insert(store, &rows[30..]).await;
    insert(store, &rows[..30]).await;
    assert_eq!(search(store, &everything(Stream::Accesses)).await.len(), 60);
}

pub async fn a_batch_that_is_not_of_one_lane_and_stream_is_poison(store: &impl RecordStore) {
    let rows = sample::rows(&mut Dice::seeded(4), Stream::Accesses, 3);
    let mut other_stream = batch(&rows);
    other_stream.token.stream = Stream::Connections;
    let mut other_lane = batch(&rows);
    other_lane.token.lane += 1;
    for batch in [other_stream, other_lane] {
        let answer = store.insert(&batch).await;
        assert!(matches!(answer, Err(StoreError::Poison(_))), "{}: {answer:?}", batch.token);
    }
}

pub async fn midnight_belongs_to_the_day_it_begins(store: &impl RecordStore) {
    let midnight = Timestamp::start_of_day(20_780);
    let instants = [-1, 0, 1].map(|micros| Timestamp::from_micros(midnight.as_micros() + micros));
    let mut rows = sample::rows(&mut Dice::seeded(5), Stream::Accesses, instants.len());
    for (row, start) in rows.iter_mut().zip(instants) {
        sample::set_start(row, start);
    }
    insert(store, &rows).await;
    let starts = async |from: Option<usize>, to: Option<usize>| {
        let mut query = everything(Stream::Accesses);
        (query.filter.from, query.filter.to) = (from.map(|i| instants[i]), to.map(|i| instants[i]));
        search(store, &query).await.iter().map(Row::start).collect::<Vec<_>>()
    };
    assert_eq!(starts(None, Some(1)).await, instants[..1], "until midnight");
    assert_eq!(starts(Some(1), None).await, instants[1..], "from midnight");
    assert_eq!(starts(Some(0), Some(2)).await, instants[..2], "around midnight");
    assert_eq!(starts(Some(1), Some(1)).await, [], "nothing at all");
}

pub async fn what_a_stream_has_no_column_for_is_an_error(store: &impl RecordStore) {
    insert(store, &sample::rows(&mut Dice::seeded(6), Stream::Connections, 2)).await;
    let mut query = everything(Stream::Connections);
    query.filter.category = Some("adult".into());
    assert!(store.search(&query).await.is_err(), "a connection has no category");
    let question = question(query.filter.clone(), Dimension::Category);
    assert!(store.stats(&question).await.is_err(), "nor counts of categories");
    let mut query = everything(Stream::Accesses);
    query.filter.device = Some("tablette-3".into());
    assert!(store.search(&query).await.is_err(), "an access has no device");
}

pub async fn a_gap_is_found_where_its_time_is_asked_for(store: &impl RecordStore) {
    let rows = sample::rows(&mut Dice::seeded(9), Stream::Accesses, 1);
    let key = rows[0].key().clone();
    let at = |seconds| Timestamp::from_micros(1_795_435_200_000_000 + seconds * 1_000_000);
    let gap = Gap { since: at(10), until: at(20), count: 7, segment: 0, cause: "disk full".into() };
    let row = GapRow { college: key.college, gateway: key.gateway, lane: key.lane, stream: Stream::Accesses, gap };
    // A batch may hold nothing else; come again, it is there once.
    let batch = Batch { rows: Vec::new(), gaps: vec![row.clone()], ..batch(&rows) };
    for _ in 0..2 {
        assert_eq!(store.insert(&batch).await, Ok(()));
    }
    let found = async |stream, from: Option<i64>, to: Option<i64>| {
        let filter = Filter { from: from.map(at), to: to.map(at), ..Filter::all(stream) };
        store.gaps(&filter).await.expect("gaps are answered")
    };
    assert_eq!(found(Stream::Accesses, None, None).await, std::slice::from_ref(&row));
    assert_eq!(found(Stream::Accesses, Some(20), Some(30)).await, std::slice::from_ref(&row), "it touches the time");
    assert_eq!(found(Stream::Accesses, Some(21), None).await, [], "after it");
    assert_eq!(found(Stream::Accesses, None, Some(10)).await, [], "before it");
    assert_eq!(found(Stream::Connections, None, None).await, [], "of the other stream");
    let mut strange = batch;
    strange.gaps[0].lane += 1;
    assert!(matches!(store.insert(&strange).await, Err(StoreError::Poison(_))), "of another lane");
}

/// Rows and questions of chance, each answered by the store and by a loop over all rows.
pub async fn every_question_is_answered_as_a_naive_search_would(store: &impl RecordStore, dice: &mut Dice<'_>) {
    let number = 1 + dice.below(60) as usize;
    let rows: BTreeMap<Stream, Vec<Row>> =
        Stream::ALL.iter().map(|stream| (*stream, sample::rows(dice, *stream, number))).collect();
    for rows in rows.values() {
        insert(store, rows).await;
    }
    for _ in 0..12 {
        let query = sample::query(dice, &rows);
        let kept = &rows[&query.filter.stream];
        assert_eq!(search(store, &query).await, naive::search(&query, kept), "{query:?}");
        let by = Dimension::ALL[dice.below(Dimension::ALL.len() as u64) as usize];
        if by.is_of(query.filter.stream) {
            let question = question(query.filter, by);
            assert_eq!(stats(store, &question).await, naive::stats(&question, kept), "{question:?}");
        }
    }
}

/// Every row of a stream, oldest first.
pub fn everything(stream: Stream) -> Query {
    Query { filter: Filter::all(stream), order: Order::OldestFirst, limit: None }
}

fn question(filter: Filter, by: Dimension) -> Question {
    Question { filter, by, zone: naive::paris(), top: 5 }
}

/// Rows of one stream and lane as a batch.
pub fn batch(rows: &[Row]) -> Batch {
    Batch::of(rows).expect("a batch has rows")
}

/// Inserts rows of one stream, a batch per lane.
pub async fn insert(store: &impl RecordStore, rows: &[Row]) {
    let mut lanes: BTreeMap<_, Vec<Row>> = BTreeMap::new();
    for row in rows {
        lanes.entry((row.key().gateway.clone(), row.key().lane)).or_default().push(row.clone());
    }
    for rows in lanes.values() {
        let batch = batch(rows);
        let answer = store.insert(&batch).await;
        assert_eq!(answer, Ok(()), "{} was not stored", batch.token);
    }
}

pub async fn search(store: &impl RecordStore, query: &Query) -> Vec<Row> {
    let found = store.search(query).await.expect("the search begins");
    found.all().await.expect("the search ends")
}

async fn stats(store: &impl RecordStore, question: &Question) -> Vec<Tally> {
    store.stats(question).await.expect("the counts come")
}
