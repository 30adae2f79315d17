//! Conversations with a server that says exactly this.

use tokio::net::TcpListener;

use super::*;

const WAITS: Waits = Waits { connect: Duration::from_secs(5), verdict: Duration::from_secs(5) };
const OPTIONS: &str =
    "ICAP/1.0 200 OK\r\nMethods: RESPMOD\r\nPreview: 4\r\nOptions-TTL: 60\r\nEncapsulated: null-body=0\r\n\r\n";

/// Serves one connection: reads up to each word, then says what stands beside it. Gives what it heard.
async fn server(script: &'static [(&'static str, &'static str)]) -> (Icap, tokio::sync::oneshot::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, told) = tokio::sync::oneshot::channel();
    crate::tasks::spawn("icap server", async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (mut heard, mut from) = (String::new(), 0);
        for (until, say) in script {
            while !heard[from..].contains(until) {
                let mut buffer = [0; 4096];
                let n = stream.read(&mut buffer).await.unwrap();
                assert!(n > 0, "the client left before {until:?}: {heard}");
                heard.push_str(std::str::from_utf8(&buffer[..n]).unwrap());
            }
            from = heard.len();
            stream.write_all(say.as_bytes()).await.unwrap();
        }
        let _ = tell.send(heard);
    });
    let address = IcapAddress { host: "127.0.0.1".to_owned(), port, service: "/scan".to_owned() };
    (Icap::new(address), told)
}

fn answer() -> Subject {
    let url = "http://files.test/a.zip".to_owned();
    Subject { method: "GET".to_owned(), url, content_type: Some("application/zip".to_owned()), status: Some(200) }
}

/// The verdict on a body that is given in these pieces.
async fn verdict(icap: &Icap, pieces: &[&str]) -> Result<Verdict, Fault> {
    let mut transaction = icap.begin(&answer(), WAITS).await?;
    for piece in pieces {
        if let Some(early) = transaction.feed(piece.as_bytes()).await? {
            return Ok(early);
        }
    }
    transaction.finish().await
}

#[tokio::test]
async fn a_body_within_the_preview_ends_there_and_the_head_says_no_more_than_it_must() {
    let (icap, told) = server(&[("null-body=0\r\n\r\n", OPTIONS), ("ieof\r\n\r\n", "ICAP/1.0 204 No\r\n\r\n")]).await;
    assert_eq!(verdict(&icap, &["ab", "cd"]).await, Ok(Verdict::Clean));
    let heard = told.await.unwrap();
    let at = icap.address.to_string();
    let inside = "GET http://files.test/a.zip HTTP/1.1\r\nHost: files.test\r\n\r\n";
    let response = "HTTP/1.1 200 \r\nContent-Type: application/zip\r\n\r\n";
    let expected = format!(
        "RESPMOD {at} ICAP/1.0\r\nHost: 127.0.0.1:{}\r\nAllow: 204\r\nPreview: 4\r\nEncapsulated: req-hdr=0, res-hdr={}, \
         res-body={}\r\n\r\n{inside}{response}4\r\nabcd\r\n0; ieof\r\n\r\n",
        icap.address.port,
        inside.len(),
        inside.len() + response.len()
    );
    assert!(heard.ends_with(&expected), "{heard}\n---\n{expected}");
}

#[tokio::test]
async fn after_the_preview_the_rest_is_sent_only_if_it_is_wanted() {
    let (icap, told) = server(&[
        ("null-body=0\r\n\r\n", OPTIONS),
        ("4\r\nabcd\r\n0\r\n\r\n", "ICAP/1.0 100 Continue\r\n\r\n"),
        ("0\r\n\r\n", "ICAP/1.0 204 No\r\n\r\n"),
    ])
    .await;
    assert_eq!(verdict(&icap, &["abcdef", "gh"]).await, Ok(Verdict::Clean));
    assert!(told.await.unwrap().ends_with("0\r\n\r\n2\r\nef\r\n2\r\ngh\r\n0\r\n\r\n"));

    let (icap, told) = server(&[("null-body=0\r\n\r\n", OPTIONS), ("0\r\n\r\n", "ICAP/1.0 204 No\r\n\r\n")]).await;
    assert_eq!(verdict(&icap, &["abcdef", "gh"]).await, Ok(Verdict::Clean));
    assert!(told.await.unwrap().ends_with("4\r\nabcd\r\n0\r\n\r\n"), "no more than the preview was sent");
}

#[tokio::test]
async fn what_comes_back_as_it_was_is_clean_and_anything_else_is_not() {
    const BODY: &str = "Encapsulated: res-hdr=0, res-body=19\r\n\r\nHTTP/1.1 200 OK\r\n\r\n";
    for (reply, expected) in [
        (format!("ICAP/1.0 200 OK\r\n{BODY}2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"), Ok("clean")),
        (format!("ICAP/1.0 200 OK\r\n{BODY}3\r\nabd\r\n0\r\n\r\n"), Ok("changed")),
        (format!("ICAP/1.0 200 OK\r\n{BODY}2\r\nab\r\n0\r\n\r\n"), Ok("changed")),
        (format!("ICAP/1.0 200 OK\r\n{}3\r\nabc\r\n0\r\n\r\n", BODY.replace("200", "403")), Ok("changed")),
        (format!("ICAP/1.0 200 OK\r\nX-Infection-Found: Type=0; Resolution=2; Threat=Essai;\r\n{BODY}"), Ok("Essai")),
        ("ICAP/1.0 404 Service not found\r\n\r\n".to_owned(), Err(())),
        ("ICAP/1.0 500 Server error\r\n\r\n".to_owned(), Err(())),
        ("ICAP/1.0 100 Continue\r\n\r\n".to_owned(), Err(())),
        (format!("ICAP/1.0 200 OK\r\n{BODY}3\r\nab"), Err(())),
        ("HTTP/1.1 400 Bad Request\r\n\r\n".to_owned(), Err(())),
        (String::new(), Err(())),
    ] {
        let said: &'static str = Box::leak(reply.clone().into_boxed_str());
        let script: &'static [_] =
            Box::leak(vec![("null-body=0\r\n\r\n", OPTIONS), ("ieof\r\n\r\n", said)].into_boxed_slice());
        let (icap, _told) = server(script).await;
        let got = verdict(&icap, &["abc"]).await;
        let named = match &got {
            Ok(Verdict::Clean) => Ok("clean"),
            Ok(Verdict::Found(name)) if name.as_str().contains("changed") => Ok("changed"),
            Ok(Verdict::Found(name)) => Ok(name.as_str()),
            Ok(_) => Ok("?"),
            Err(_) => Err(()),
        };
        assert_eq!(named, expected, "{reply:?}: {got:?}");
    }
}
