//! What an answer loses on its way: ech, h3, unsafe searches, addresses from inside.

use super::*;
use crate::harness::dns::Told;
use crate::harness::site::POLICY;

/// RFC 9460 §2.2: priority 1, target ".", alpn h3 and h2, ech.
fn service() -> Vec<u8> {
    let alpn = b"\x00\x01\x00\x06\x02h3\x02h2";
    let ech = b"\x00\x05\x00\x08\x00\x06\xfe\x0d\x00\x02ab";
    [&[0, 1, 0][..], alpn, ech].concat()
}

/// A signature over HTTPS records, of no worth.
fn signature() -> Vec<u8> {
    let mut data = vec![0, 65, 13, 2, 0, 0, 1, 44, 0x70, 0, 0, 0, 0x60, 0, 0, 0, 0, 7];
    data.extend_from_slice(b"\x04test\x00signed-by-nobody");
    data
}

/// Pupils search safely, see the strict YouTube and hear of no HTTP/3.
fn limited() -> String {
    POLICY
        .replace("[groups.eleves]\n", "[groups.eleves]\nsafe_search = true\nyoutube = \"strict\"\nhttp3 = false\n")
        .replace("[groups.enseignants]\n", "[groups.enseignants]\nyoutube = \"moderate\"\n")
}

async fn guarded() -> Option<Guarded> {
    Guarded::open_with("", |site| site.write_rule("policy.toml", &limited())).await
}

#[tokio::test(flavor = "multi_thread")]
async fn ech_never_arrives_and_h3_not_where_policy_says_so() {
    let Some(guarded) = guarded().await else { return };
    let records: Vec<Told> = vec![(HTTPS, 300, service()), (RRSIG, 300, signature())];
    guarded.school.names.tells("hidden.test", HTTPS, records);
    guarded.school.names.tells("plain.test", A, vec![(A, 300, vec![127, 0, 0, 9])]);
    for (dug, alpn) in [
        (guarded.pupil("+dnssec hidden.test HTTPS").await, "1 . alpn=\"h2\""),
        (guarded.teacher("+dnssec hidden.test HTTPS").await, "1 . alpn=\"h3,h2\""),
        (guarded.teacher("hidden.test HTTPS").await, "1 . alpn=\"h3,h2\""),
    ] {
        assert_eq!(dug.data("HTTPS"), [alpn], "{}", dug.text);
        assert!(!dug.text.contains("ech="), "{}", dug.text);
        assert!(dug.data("RRSIG").is_empty() && !dug.has_flag("ad"), "what was altered is not verified: {}", dug.text);
    }
    let untouched = guarded.pupil("+dnssec plain.test A").await;
    assert!(untouched.has_flag("ad"), "what was not altered is as the server said: {}", untouched.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_is_safe_for_who_shall_search_safely() {
    let Some(guarded) = guarded().await else { return };
    let addresses = [
        ("forcesafesearch.google.com", "216.239.38.120"),
        ("strict.bing.com", "204.79.197.220"),
        ("safe.duckduckgo.com", "52.142.126.100"),
        ("safeapi.qwant.com", "194.187.168.100"),
        ("restrict.youtube.com", "216.239.38.119"),
        ("restrictmoderate.youtube.com", "216.239.38.118"),
        ("www.google.fr", "142.250.1.1"),
    ];
    for (name, address) in addresses {
        guarded.school.names.answers(name, &[&[address]]);
    }
    for (asked, target, address) in [
        ("www.google.fr", "forcesafesearch.google.com.", "216.239.38.120"),
        ("www.google.co.uk", "forcesafesearch.google.com.", "216.239.38.120"),
        ("www.google.com.br", "forcesafesearch.google.com.", "216.239.38.120"),
        ("www.bing.com", "strict.bing.com.", "204.79.197.220"),
        ("duckduckgo.com", "safe.duckduckgo.com.", "52.142.126.100"),
        ("api.qwant.com", "safeapi.qwant.com.", "194.187.168.100"),
        ("www.youtube.com", "restrict.youtube.com.", "216.239.38.119"),
        ("youtubei.googleapis.com", "restrict.youtube.com.", "216.239.38.119"),
    ] {
        let dug = guarded.pupil(&format!("{asked} A")).await;
        assert_eq!(
            (dug.data("CNAME"), dug.data("A")),
            (vec![target.to_owned()], vec![address.to_owned()]),
            "{}",
            dug.text
        );
        let dug = guarded.pupil(&format!("{asked} HTTPS")).await;
        assert_eq!((dug.data("CNAME").len(), dug.answers.len()), (1, 1), "no record of the unsafe name: {}", dug.text);
    }
    assert_eq!(guarded.teacher("www.google.fr A").await.data("A"), ["142.250.1.1"]);
    assert_eq!(guarded.teacher("www.youtube.com A").await.data("CNAME"), ["restrictmoderate.youtube.com."]);
    assert_eq!(guarded.times_asked("www.google.fr"), 1, "the teacher's");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_explicit_proxy_dials_the_safe_name_for_the_same_groups() {
    let school = School::open_with(|site| site.write_rule("policy.toml", &limited())).await;
    school.names.answers("forcesafesearch.google.com", &[&["127.0.0.1"]]);
    let url = school.url("www.google.fr", "/search?q=ecluse");
    assert_eq!(school.pupil().await.get(&url).await.status, 200);
    assert_eq!(school.names.times_asked("www.google.fr"), 0);
    assert_eq!(school.teacher().await.get(&url).await.status, 502, "no such name in this small internet");
    assert_eq!(school.names.times_asked("www.google.fr"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_from_outside_never_leads_inside() {
    let Some(guarded) = Guarded::open().await else { return };
    for (i, address) in
        ["10.131.0.1", "192.168.1.1", "127.0.0.1", "169.254.169.254", "0.0.0.0", "fd00::1", "::1", "::ffff:10.0.0.1"]
            .into_iter()
            .enumerate()
    {
        let name = format!("rebind{i}.example");
        guarded.school.names.answers(&name, &[&[address]]);
        let kind = if address.contains(':') { "AAAA" } else { "A" };
        let dug = guarded.pupil(&format!("{name} {kind}")).await;
        assert_eq!((dug.status.as_str(), dug.answers.len()), ("NOERROR", 0), "{address}: {}", dug.text);
    }
    guarded.school.names.answers("both.example", &[&["192.0.2.1", "10.0.0.1"]]);
    assert!(guarded.pupil("both.example A").await.answers.is_empty(), "one of two is enough");
    guarded.school.names.answers("public.example", &[&["9.9.9.9"]]);
    assert_eq!(guarded.pupil("public.example A").await.data("A"), ["9.9.9.9"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_answer_comes_over_tcp_on_both_sides() {
    let Some(guarded) = Guarded::open().await else { return };
    let many: Vec<Told> = (0..100).map(|i| (A, 300, vec![127, 1, 0, i])).collect();
    guarded.school.names.tells("many.test", A, many);
    let cut = guarded.pupil("+ignore many.test A").await;
    assert!(cut.has_flag("tc") && cut.answers.is_empty(), "{}", cut.text);
    let whole = guarded.pupil("many.test A").await;
    assert_eq!(whole.answers.len(), 100);
    let asked = guarded.school.names.questions("many.test");
    assert_eq!(asked.iter().map(|asked| asked.over_tcp).collect::<Vec<_>>(), [false, true], "once for both");
    // 40 records fit into a datagram of 1232 bytes, and not into the 512 of who has no EDNS.
    let some: Vec<Told> = (0..40).map(|i| (A, 300, vec![127, 2, 0, i])).collect();
    guarded.school.names.tells("some.test", A, some);
    assert_eq!(guarded.pupil("+ignore some.test A").await.answers.len(), 40);
    assert!(guarded.pupil("+ignore +noedns some.test A").await.has_flag("tc"));
}
