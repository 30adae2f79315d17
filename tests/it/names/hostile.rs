//! Who forges, who guesses, and who sends nonsense.

use std::collections::HashSet;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::harness::{Dice, soon};

#[tokio::test(flavor = "multi_thread")]
async fn the_letters_of_a_question_are_drawn_by_lot() {
    let Some(guarded) = Guarded::open().await else { return };
    let mut spellings = HashSet::new();
    for i in 0..8 {
        let name = format!("a-name-with-many-letters-{i}.free.test");
        assert_eq!(guarded.pupil(&format!("{name} A")).await.status, "NOERROR");
        let asked = guarded.school.names.questions(&name).remove(0);
        spellings.insert(asked.spelt.replace(&i.to_string(), "#"));
    }
    assert!(spellings.len() >= 7, "{spellings:?}");
    assert!(spellings.iter().any(|spelt| spelt.bytes().any(|b| b.is_ascii_uppercase())), "{spellings:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_with_other_letters_is_not_believed_and_asked_for_over_tcp() {
    let Some(guarded) = Guarded::open().await else { return };
    guarded.school.names.forgets_spelling();
    let name = "another-name-with-many-letters.free.test";
    assert_eq!(guarded.pupil(&format!("{name} A")).await.data("A"), ["127.0.0.1"]);
    let asked = guarded.school.names.questions(name);
    assert!(asked.last().unwrap().over_tcp, "{asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_is_answered_or_dropped_and_harms_nobody() {
    let Some(guarded) = Guarded::open().await else { return };
    let device = device(PUPIL, guarded.door).await;
    let mut dice = Dice::new();
    for _ in 0..400 {
        let mut message = question(1, "www.free.test");
        for _ in 0..=dice.below(8) {
            let at = dice.below(message.len() as u64) as usize;
            message[at] = dice.next() as u8;
        }
        message.truncate(dice.below(message.len() as u64 + 1) as usize);
        device.send(&message).await.unwrap();
    }
    // An answer is not answered: two gateways would talk for ever.
    let mut reply = question(0x7777, "www.free.test");
    reply[2] |= 0x80;
    device.send(&reply).await.unwrap();
    device.send(&question(0x4242, "www.free.test")).await.unwrap();
    let mut buffer = [0; 2000];
    loop {
        let n = soon("the honest question's answer", device.recv(&mut buffer)).await.unwrap();
        assert_ne!(buffer[..2], [0x77, 0x77]);
        if buffer[..2] == [0x42, 0x42] && buffer[..n].ends_with(&[127, 0, 0, 1]) {
            break;
        }
    }
    for (asked, status) in
        [("free.test ANY", "NOTIMP"), ("free.test AXFR", "TIMEOUT"), ("-c CH version.bind TXT", "NOTIMP")]
    {
        let dug = guarded.pupil(&format!("+notcp {asked}")).await;
        assert!(dug.status == status || asked.contains("AXFR"), "{asked}: {}", dug.text);
    }
    assert_eq!(guarded.pupil("+edns=1 +noednsnegotiation www.free.test A").await.status, "BADVERS");
    for name in [r"a\.b.test", "127.0.0.1", r"a\032b.test"] {
        assert_eq!(guarded.pupil(&format!("{name} A")).await.status, "NXDOMAIN", "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_carries_many_questions_however_it_is_cut() {
    let Some(guarded) = Guarded::open().await else { return };
    let mut stream = TcpStream::connect(guarded.door).await.unwrap();
    let one = question(9, "www.free.test");
    let framed = [&(one.len() as u16).to_be_bytes()[..], &one].concat();
    let three = framed.repeat(3);
    for piece in three.chunks(7) {
        stream.write_all(piece).await.unwrap();
        stream.flush().await.unwrap();
    }
    for _ in 0..3 {
        let length = soon("an answer", stream.read_u16()).await.unwrap();
        let mut answer = vec![0; usize::from(length)];
        stream.read_exact(&mut answer).await.unwrap();
        assert!(answer.ends_with(&[127, 0, 0, 1]));
    }
    // A length that no question has ends the stream.
    stream.write_all(&[0xff, 0xff]).await.unwrap();
    assert_eq!(soon("the stream ends", stream.read(&mut [0; 1])).await.unwrap_or(0), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_is_no_way_to_its_own_names() {
    let Some(guarded) = Guarded::open().await else { return };
    let mut pupil = guarded.school.pupil().await;
    let reply = pupil.get(&format!("http://127.0.0.1:{}/", guarded.door.port())).await;
    assert_eq!(reply.status, 403);
}
