//! Reading questions.

use proptest::prelude::*;

use super::*;

fn asked(text: &str) -> Asked {
    Question::parse(&question(text, RecordType::A, false)).unwrap().asked()
}

#[test]
fn a_question_is_read_as_it_was_written() {
    let bytes = question("wWw.Example.FR.", RecordType::HTTPS, true);
    let read = Question::parse(&bytes).unwrap();
    assert_eq!((read.id, read.recursion, read.kind, read.dnssec()), (0x1234, true, kind::HTTPS, true));
    assert_eq!(read.edns.unwrap().size, 1232);
    assert_eq!(read.asked(), Asked::Host(host("www.example.fr")));
    assert!(read.section.starts_with(b"\x03wWw"), "the spelling is the client's");
}

#[test]
fn all_spellings_of_a_name_are_one_key_and_each_variant_is_another() {
    let (one, other) =
        (question("wWw.Example.FR.", RecordType::A, true), question("www.example.fr.", RecordType::A, true));
    let key = |bytes: &[u8], variant| Question::parse(bytes).unwrap().key(variant).as_slice().to_vec();
    let plain = Variant::default();
    assert_eq!(key(&one, plain), key(&other, plain));
    let variants = [
        Variant { dnssec: true, ..plain },
        Variant { unchecked: true, ..plain },
        Variant { without_h3: true, ..plain },
        Variant { safe: true, ..plain },
        Variant { safe: true, moderate: true, ..plain },
    ];
    for variant in variants {
        assert_ne!(key(&one, variant), key(&one, plain), "{variant:?}");
        assert_eq!(Question::parse(&one).unwrap().key(variant).variant(), variant);
    }
    assert_eq!(key(&one, plain), Key::of(&host("www.example.fr"), kind::A, plain).as_slice());
    assert_eq!(Key::of(&host("www.example.fr"), kind::A, plain).section(), Question::parse(&other).unwrap().section);
}

#[test]
fn a_name_that_no_host_has_is_not_taken_for_another() {
    assert_eq!(asked("."), Asked::Root);
    assert_eq!(asked("_dmarc.example.fr."), Asked::Host(host("_dmarc.example.fr")));
    // An address is no name, nor is what no browser reads as one.
    assert_eq!(asked("127.0.0.1."), Asked::Nameless);
    assert_eq!(asked("xn--a.fr."), Asked::Nameless);
    let labels: [&[&[u8]]; 4] =
        [&[b"a.example", b"fr"], &[b"a\0", b"example", b"fr"], &[b"a b", b"fr"], &[b"\xc3\xa9", b"fr"]];
    for labels in labels {
        let bytes = question_of(labels, RecordType::A, false);
        assert_eq!(Question::parse(&bytes).unwrap().asked(), Asked::Nameless, "{labels:?}");
    }
}

#[test]
fn what_is_no_question_gets_the_answer_that_makes_no_loop() {
    let good = question("example.fr.", RecordType::A, false);
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        Question::parse(&bytes).map(|_| ())
    };
    assert_eq!(with(&|_| {}), Ok(()));
    assert_eq!(with(&|b| b[2] |= 0x80), Err(Fault::Silence), "an answer is never answered");
    assert_eq!(with(&|b| b.truncate(11)), Err(Fault::Silence));
    assert_eq!(with(&|b| b[2] |= 0x28), Err(Fault::NotImplemented), "an update");
    assert_eq!(with(&|b| b[5] = 2), Err(Fault::Malformed), "two questions");
    assert_eq!(with(&|b| b[7] = 1), Err(Fault::Malformed), "answers in a question");
    assert_eq!(with(&|b| b[12] = 0xc0), Err(Fault::Malformed), "a pointer in the first name there is");
    let end = good.len();
    assert_eq!(with(&|b| b[end - 5] = 1), Err(Fault::EdnsVersion));
    assert_eq!(with(&|b| b[12 + 12 + 3] = 3), Err(Fault::NotImplemented), "class CHAOS");
    for cut in 12..end {
        assert!(matches!(with(&|b| b.truncate(cut)), Err(Fault::Malformed)), "cut after {cut}");
    }
}

#[test]
fn letters_are_drawn_by_lot_and_nothing_else_changes() {
    let bytes = question("www.example-1.fr.", RecordType::A, false);
    let section = Question::parse(&bytes).unwrap().section;
    let all = spelt_at_random(section, &[0xff; 32]);
    assert_eq!(&all[..18], b"\x03WWW\x09EXAMPLE-1\x02FR\x00");
    assert_eq!(all[18..], section[18..]);
    assert_eq!(spelt_at_random(&all, &[0; 32]), section);
    let mixed = spelt_at_random(section, &[0x55; 32]);
    assert!(mixed != section && mixed != all && mixed.eq_ignore_ascii_case(section));
}

proptest! {
    #[test]
    fn no_bytes_break_the_reader(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        if let Ok(read) = Question::parse(&bytes) {
            read.asked();
            let key = read.key(Variant::default());
            prop_assert_eq!(key.kind(), read.kind);
            prop_assert!(key.section().eq_ignore_ascii_case(read.section));
            let mut out = Vec::new();
            say(&read, Rcode::NxDomain, &[], true, &mut out);
            let id = read.id.to_be_bytes();
            prop_assert!(out.starts_with(&id) && out[2] & 0x80 != 0);
        }
    }

    #[test]
    fn any_name_is_the_host_of_its_text(labels in prop::collection::vec("[a-zA-Z0-9_-]{1,20}", 1..6)) {
        let text = format!("{}.", labels.join("."));
        let bytes = question(&text, RecordType::AAAA, true);
        let read = Question::parse(&bytes).unwrap();
        match (read.asked(), HostName::parse(&text)) {
            (Asked::Host(read), Ok(parsed)) => prop_assert_eq!(read, parsed),
            (Asked::Nameless, Err(_)) => {}
            (read, parsed) => prop_assert!(false, "{:?} and {:?}", read, parsed),
        }
    }
}
