//! The policy and the list of people as somebody writes them: every problem is told with a place that exists, and what is
//! taken answers.

#![no_main]

use std::path::Path;
use std::sync::{Arc, OnceLock};

use ecluse::access::{Access, Client, Timestamp, Visit};
use ecluse::lists::{Format, Image, ListText};
use ecluse::policy::{Ruleset, target_of_url};
use libfuzzer_sys::fuzz_target;

fn image() -> Arc<Image> {
    static IMAGE: OnceLock<Arc<Image>> = OnceLock::new();
    let lists = || [ListText::new("starter/adult", "adult", Format::Domains, "adult.test\n")];
    IMAGE.get_or_init(|| Arc::new(Image::from_texts(&lists()).expect("a good list"))).clone()
}

fuzz_target!(|texts: (String, String)| {
    let (people, policy) = texts;
    let files = (Path::new("policy.toml"), Path::new("people.csv"));
    match Ruleset::from_texts((files.0, &policy), (files.1, &people), image()) {
        Ok(rules) => {
            for url in ["http://adult.test/a?b", "https://example.fr/", "http://10.0.0.1/"] {
                let access = Access {
                    client: Arc::new(Client::unknown([10, 0, 0, 7].into(), 0)),
                    target: target_of_url(url).expect("a good URL"),
                    method: "GET".into(),
                    visit: Visit::Unknown,
                    start: Timestamp::from_micros(1_764_000_000_000_000),
                };
                let explained = rules.explain(&access);
                assert_eq!(explained, rules.explain(&access), "the same question has the same answer");
            }
            let _ = rules.try_expectations();
        }
        Err(problems) => {
            assert!(!problems.0.is_empty(), "a refusal says why");
            for problem in &problems.0 {
                let text = if problem.file == files.0 { &policy } else { &people };
                let lines = text.matches('\n').count() as u32 + 1;
                assert!(problem.line.is_none_or(|line| line <= lines), "line {:?} of {lines}", problem.line);
            }
        }
    }
});
