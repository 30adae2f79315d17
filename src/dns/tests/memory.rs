//! The cache, what was given to whom, and the names of others.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::*;
use crate::policy::{NameLimits, Youtube};

const SECOND: Duration = Duration::from_secs(1);

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn stored(ttl: u32) -> Arc<Stored> {
    Arc::new(rewritten(&answer("a.fr.", RecordType::A, vec![a("a.fr.", ttl, "192.0.2.1")]), PLAIN))
}

fn key(text: &str) -> Key {
    Key::of(&host(text), kind::A, Variant::default())
}

#[test]
fn an_answer_is_kept_until_its_time_and_knows_its_age() {
    let (cache, now) = (Cache::new(10), Instant::now());
    cache.keep(&key("a.fr"), stored(60), now);
    assert_eq!(cache.find(&key("a.fr"), now + 59 * SECOND).unwrap().1, 59 * SECOND);
    assert!(cache.find(&key("a.fr"), now + 60 * SECOND).is_none());
    assert!(cache.find(&key("b.fr"), now).is_none());
    cache.keep(&key("b.fr"), stored(0), now);
    assert!(cache.find(&key("b.fr"), now).is_none(), "an answer for this once");
    cache.keep(&key("a.fr"), stored(60), now + 100 * SECOND);
    assert!(cache.find(&key("a.fr"), now + 101 * SECOND).is_some());
    cache.forget_all();
    assert!(cache.is_empty());
}

#[test]
fn a_full_cache_lets_go_of_what_nobody_asks_for() {
    let (cache, now) = (Cache::new(100), Instant::now());
    for i in 0..100 {
        cache.keep(&key(&format!("n{i}.fr")), stored(600), now);
    }
    // Ten are in use.
    for round in 0..500 {
        for i in 0..10 {
            assert!(cache.find(&key(&format!("n{i}.fr")), now).is_some(), "in round {round}");
        }
        cache.keep(&key(&format!("new{round}.fr")), stored(600), now);
        assert_eq!(cache.len(), 100);
    }
    assert!(cache.find(&key("n50.fr"), now).is_none());
    assert!(Cache::new(0).is_empty());
}

#[test]
fn a_very_long_answer_is_given_and_not_kept() {
    let records = (0..400).map(|i| a("a.fr.", 60, &format!("192.0.{}.{}", i / 200, i % 200))).collect();
    let cache = Cache::new(10);
    cache.keep(&key("a.fr"), Arc::new(rewritten(&answer("a.fr.", RecordType::A, records), PLAIN)), Instant::now());
    assert!(cache.is_empty());
}

#[test]
fn a_client_knows_an_address_by_the_name_it_asked_and_for_as_long_as_it_may_use_it() {
    let (given, now) = (Given::default(), Instant::now());
    let (pupil, other, address) = (ip("10.131.0.7"), ip("10.131.0.8"), ip("192.0.2.1"));
    given.remember(pupil, &host("a.fr"), &[address], 60 * SECOND, now);
    given.remember(pupil, &host("b.fr"), &[address], 600 * SECOND, now + SECOND);
    assert_eq!(given.name(pupil, address, now), Some(host("b.fr")), "the last one");
    assert!(given.was_given(pupil, &host("a.fr"), address, now));
    assert!(!given.was_given(pupil, &host("c.fr"), address, now));
    assert_eq!(given.name(other, address, now), None, "another client");
    assert_eq!(given.name(pupil, ip("192.0.2.2"), now), None);
    let grace = 600 * SECOND;
    assert!(given.was_given(pupil, &host("a.fr"), address, now + 59 * SECOND + grace));
    assert!(!given.was_given(pupil, &host("a.fr"), address, now + 60 * SECOND + grace));
    given.forget_old(now + 60 * SECOND + grace);
    assert_eq!(given.len(), 1);
    given.forget_old(now + 3600 * SECOND);
    assert!(given.is_empty());
}

#[test]
fn what_is_remembered_is_bounded_for_each_client_and_in_all() {
    let (given, now) = (Given::default(), Instant::now());
    let one = ip("10.0.0.1");
    for i in 0..2000u32 {
        let address = IpAddr::from((0xc000_0000 + i).to_be_bytes());
        given.remember(one, &host("a.fr"), &[address], i * SECOND, now);
    }
    assert_eq!(given.len(), 512);
    assert!(
        given.name(one, IpAddr::from((0xc000_0000u32 + 1999).to_be_bytes()), now).is_some(),
        "what lasts longest stays"
    );
    for i in 0..5000u32 {
        let client = IpAddr::from((0x0a01_0000 + i).to_be_bytes());
        given.remember(client, &host("a.fr"), &[ip("192.0.2.1")], SECOND, now + i * SECOND / 1000);
    }
    assert!(given.len() <= 4096 + 511, "{}", given.len());
    for i in 0..100 {
        given.remember(one, &host(&format!("n{i}.fr")), &[ip("192.0.2.9")], SECOND, now + 6 * SECOND);
    }
    assert!(given.was_given(one, &host("n99.fr"), ip("192.0.2.9"), now));
    assert!(!given.was_given(one, &host("n0.fr"), ip("192.0.2.9"), now));
}

#[test]
fn an_address_was_given_for_as_many_names_as_are_kept_and_for_as_long_as_each_of_them_lasts() {
    let (given, now, client, address) = (Given::default(), Instant::now(), ip("10.0.0.1"), ip("192.0.2.9"));
    let name = |i: u64| host(&format!("n{i}.fr"));
    for i in 0..9 {
        given.remember(client, &name(i), &[address], (i as u32 + 1) * 60 * SECOND, now);
    }
    let known = |at| (0..9).filter(|i| given.was_given(client, &name(*i), address, at)).collect::<Vec<_>>();
    assert_eq!(known(now), [1, 2, 3, 4, 5, 6, 7, 8], "the first one made room");
    let grace = 600 * SECOND;
    assert_eq!(known(now + 5 * 60 * SECOND + grace), [5, 6, 7, 8], "each by its own time");
    // A name that is given again lasts longer, never shorter, and is the last to make room.
    given.remember(client, &name(1), &[address], 3600 * SECOND, now);
    given.remember(client, &name(1), &[address], SECOND, now);
    given.remember(client, &name(0), &[address], 60 * SECOND, now);
    assert_eq!(known(now), [0, 1, 3, 4, 5, 6, 7, 8]);
    assert!(given.was_given(client, &name(1), address, now + 3599 * SECOND + grace));
    // Neither for another client, nor another address, nor a name below.
    assert!(!given.was_given(ip("10.0.0.2"), &name(5), address, now));
    assert!(!given.was_given(client, &name(5), ip("192.0.2.8"), now));
    assert!(!given.was_given(client, &host("www.n5.fr"), address, now));
    given.forget_old(now + 7200 * SECOND);
    assert!(known(now).is_empty() && given.is_empty());
}

#[test]
fn search_engines_are_answered_by_the_names_under_which_they_filter() {
    let names = SafeNames::default();
    let safe = NameLimits { safe_search: true, ..NameLimits::default() };
    let strict = NameLimits { youtube: Youtube::Strict, ..NameLimits::default() };
    let moderate = NameLimits { youtube: Youtube::Moderate, ..NameLimits::default() };
    let shown = |text: &str, limits| names.of(&host(text), limits).map_or("-".to_owned(), ToString::to_string);
    for (asked, expected) in [
        ("www.google.com", "forcesafesearch.google.com"),
        ("www.google.fr", "forcesafesearch.google.com"),
        ("www.google.co.uk", "forcesafesearch.google.com"),
        ("www.google.com.br", "forcesafesearch.google.com"),
        ("www.google.cat", "forcesafesearch.google.com"),
        ("www.bing.com", "strict.bing.com"),
        ("duckduckgo.com", "safe.duckduckgo.com"),
        ("api.qwant.com", "safeapi.qwant.com"),
        ("mail.google.com", "-"),
        ("www.google.example.com", "-"),
        ("www.google.co.uk.example.fr", "-"),
        ("forcesafesearch.google.com", "-"),
        ("strict.bing.com", "-"),
        ("www.youtube.com", "-"),
    ] {
        assert_eq!(shown(asked, safe), expected, "{asked}");
        assert_eq!(shown(asked, NameLimits::default()), "-", "{asked}");
    }
    for asked in [
        "www.youtube.com",
        "m.youtube.com",
        "youtubei.googleapis.com",
        "youtube.googleapis.com",
        "www.youtube-nocookie.com",
    ] {
        assert_eq!(shown(asked, strict), "restrict.youtube.com");
        assert_eq!(shown(asked, moderate), "restrictmoderate.youtube.com");
    }
}

#[test]
fn names_that_are_nobodys_are_known() {
    for (asked, expected) in [
        ("use-application-dns.net", Some(Special::Signal)),
        ("mask.icloud.com", Some(Special::Signal)),
        ("mask-h2.icloud.com", Some(Special::Signal)),
        ("ecluse.internal", Some(Special::OurPages)),
        ("localhost", Some(Special::Localhost)),
        ("a.localhost", Some(Special::Localhost)),
        ("facebookcorewwwi.onion", Some(Special::Nowhere)),
        ("printer.local", Some(Special::Nowhere)),
        ("www.icloud.com", None),
        ("unmask.icloud.com", None),
        ("example.fr", None),
    ] {
        assert_eq!(special(&host(asked)), expected, "{asked}");
    }
}

#[test]
fn a_client_may_know_what_it_was_given_under_any_name_and_what_another_address_of_it_may_have_asked() {
    let (given, now, address) = (Given::default(), Instant::now(), ip("192.0.2.9"));
    let (one, other, six, sixth) = (ip("10.0.0.1"), ip("10.0.0.2"), ip("fd00::1"), ip("fd00::2"));
    let known = |at| [one, other, six, sixth].map(|client| given.may_know(client, address, at));
    assert_eq!(known(now), [false; 4]);
    given.remember(one, &host("a.fr"), &[address], 60 * SECOND, now);
    // Two devices of IPv4 are two; who has IPv6 may have asked by IPv4.
    assert_eq!(known(now), [true, false, true, true]);
    assert!(!given.may_know(one, ip("192.0.2.8"), now));
    let over = now + 660 * SECOND;
    assert_eq!(known(over)[..2], [false, false], "it is over");
    given.forget_old(over);
    assert_eq!(known(over), [false; 4]);
    given.remember(six, &host("a.fr"), &[address], 60 * SECOND, over);
    assert_eq!(known(over), [true; 4], "nobody knows whose address of IPv4 belongs to it");
    given.remember(six, &host("b.fr"), &[address], 60 * SECOND, over);
    given.forget_old(over + 660 * SECOND);
    assert_eq!(known(over), [false; 4], "however many names it had");
}

#[test]
fn nobody_holds_what_was_forgotten_for_want_of_room() {
    let (given, now, six) = (Given::default(), Instant::now(), ip("fd00::1"));
    let address = |i: u32| IpAddr::from((0xc000_0000 + i).to_be_bytes());
    for i in 0..600 {
        given.remember(ip("10.0.0.1"), &host("a.fr"), &[address(i)], (i + 1) * SECOND, now);
    }
    let known = (0..600).filter(|i| given.may_know(six, address(*i), now)).count();
    assert_eq!(known, 512, "addresses");
    for i in 0..4096u32 {
        let client = IpAddr::from((0x0a01_0000 + i).to_be_bytes());
        given.remember(client, &host("a.fr"), &[ip("192.0.2.1")], SECOND, now + SECOND);
    }
    assert!(!given.may_know(six, address(599), now), "clients");
    assert!(given.may_know(six, ip("192.0.2.1"), now));
}

#[test]
fn a_gateway_says_who_went_round_once_nothing_that_it_gave_before_is_in_use() {
    let longest = Duration::from_secs(rewrite::TTL_MAX.into()) + given::GRACE;
    assert_eq!(crate::config::default::DNS_NO_DNS_AFTER_SECONDS, longest.as_secs());
}
