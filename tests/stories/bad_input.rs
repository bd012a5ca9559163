//! What is not JSON, not HTTP or not a route is refused with a problem, changes nothing and hurts nobody.

use serde_json::json;
use tasklane_testkit::story::story;
use tasklane_testkit::{Reply, Server, ServerOptions};

const JSON: &[(&str, &str)] = &[("Content-Type", "application/json")];

fn send(server: &Server, body: &[u8]) -> Reply {
    server.connect().call("POST", "/v1/tasks", JSON, body).unwrap()
}

fn payload(json: &str) -> Vec<u8> {
    format!(r#"{{"type":"demo","payload":{json}}}"#).into_bytes()
}

fn nested(depth: usize) -> Vec<u8> {
    payload(&format!("{}{}", "[".repeat(depth), "]".repeat(depth)))
}

/// Nothing was accepted, and the server is as well as before.
fn assert_unharmed(server: &Server) {
    let list = server.get("/v1/tasks").expect(200).json();
    assert_eq!(list["items"], json!([]), "something was accepted");
    server.get("/ready").expect(200);
    assert!(!server.log().contains("panicked"), "{}", server.log());
}

#[test]
fn what_is_not_json_is_refused_with_its_place() {
    story("bad_input::json", || {
        let server = ServerOptions::without_executors().start();
        let cases: &[(&str, Vec<u8>)] = &[
            ("nothing", Vec::new()),
            ("half", b"{\"type\":\"demo\"".to_vec()),
            ("something behind it", b"{\"type\":\"demo\"}x".to_vec()),
            ("a number beyond f64", payload("1e400")),
            ("a number beyond f64, deep inside", payload(r#"{"a":[{"b":-1e999}]}"#)),
            ("NaN", payload("NaN")),
            ("a leading zero", payload("01")),
            ("a lone high surrogate", payload(r#""\ud800""#)),
            ("a lone low surrogate", payload(r#""\udc00 ""#)),
            ("a high surrogate before something else", payload(r#""\ud800A""#)),
            ("a lone surrogate as a name", payload(r#"{"\udfff":1}"#)),
            ("bytes that are not UTF-8", [&b"{\"type\":\"demo\",\"payload\":\""[..], b"\xff\xfe", b"\"}"].concat()),
            ("an overlong encoding", [&b"{\"type\":\"demo\",\"payload\":\""[..], b"\xc0\x80", b"\"}"].concat()),
            ("a bare NUL", b"{\"type\":\"demo\",\"payload\":\"\0\"}".to_vec()),
            ("a bare newline in a string", payload("\"a\nb\"")),
            ("10 000 levels", nested(10_000)),
            ("10 000 levels, never closed", payload(&"[".repeat(10_000))),
            ("10 000 levels of objects", payload(&format!("{}1{}", r#"{"a":"#.repeat(10_000), "}".repeat(10_000)))),
            ("129 levels", nested(129)),
            ("a comment", payload("1 /* one */")),
        ];
        for (what, body) in cases {
            let problem = send(&server, body).problem(400, "malformed_json").json();
            assert!(problem["detail"].as_str().unwrap().contains(|it: char| it.is_ascii_digit()), "{what}: no place");
        }
        assert_unharmed(&server);
        // What is odd but JSON is kept as it is, byte by byte.
        for kept in [r#""\u0000""#, r#""\ud83d\ude00""#, "1.7976931348623157e308", "-0.0", r#"{"a":1,"b":{"c":[]}}"#] {
            let id = send(&server, &payload(kept)).expect(201).json()["id"].as_str().unwrap().to_owned();
            let text = server.get(&format!("/v1/tasks/{id}")).expect(200).text();
            assert!(text.contains(kept), "{kept} became {text}");
        }
        send(&server, &nested(100)).expect(201);
    });
}

#[test]
fn what_is_too_large_is_refused_before_it_is_held() {
    story("bad_input::sizes", || {
        let server = ServerOptions::without_executors().start();
        let large = payload(&format!("\"{}\"", "x".repeat((1 << 20) + 1)));
        send(&server, &large).problem(413, "payload_too_large");

        // Announced, never sent: the answer does not wait for it.
        let mut announced = server.connect();
        let head = "POST /v1/tasks:batch HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n";
        announced.send(format!("{head}Content-Length: 40000000\r\n\r\n").as_bytes()).unwrap();
        assert_eq!(announced.receive().unwrap().status, 413);

        // Not announced: chunk after chunk until it is too much. The server may cut the connection while we still send.
        let mut chunked = server.connect();
        chunked.send(format!("{head}Transfer-Encoding: chunked\r\n\r\n").as_bytes()).unwrap();
        let chunk = format!("100000\r\n{}\r\n", " ".repeat(1 << 20));
        for _ in 0..40 {
            if chunked.send(chunk.as_bytes()).is_err() {
                break;
            }
        }
        if let Ok(reply) = chunked.receive() {
            assert_eq!(reply.status, 413);
        }

        let long = "x".repeat(64 << 10);
        let reply = server.connect().call("GET", "/v1/tasks", &[("X-Long", &long)], b"").unwrap();
        assert_eq!(reply.status, 431);
        let many: Vec<_> = (0..200).map(|nth| (format!("X-{nth}"), nth.to_string())).collect();
        let many: Vec<_> = many.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let reply = server.connect().call("GET", "/v1/tasks", &many, b"").unwrap();
        assert_eq!(reply.status, 431);
        let reply = server.connect().call("GET", &format!("/v1/tasks?q={}", "x".repeat(40 << 10)), &[], b"").unwrap();
        assert!(matches!(reply.status, 414 | 431), "{}", reply.status);
        assert_unharmed(&server);
    });
}

#[test]
fn what_is_no_route_or_no_json_type_is_refused() {
    story("bad_input::http", || {
        let server = ServerOptions::without_executors().start();
        for path in ["/v1", "/v1/", "/v1/task", "/v1/tasks/", "/v2/tasks", "/v1/schedule", "/v1/tasks:explode", "/nope"]
        {
            server.get(path).problem(404, "not_found");
        }
        let reply = server.connect().call("PUT", "/v1/tasks", JSON, b"{}").unwrap();
        reply.clone().problem(405, "method_not_allowed");
        assert!(reply.header("allow").is_some(), "a 405 without Allow");

        let task = br#"{"type":"demo"}"#;
        for headers in
            [&[][..], &[("Content-Type", "text/plain")], &[("Content-Type", "application/x-www-form-urlencoded")]]
        {
            for path in ["/v1/tasks", "/v1/tasks:batch", "/v1/leases", "/v1/reports"] {
                server.connect().call("POST", path, headers, task).unwrap().problem(415, "unsupported_media_type");
            }
        }
        server
            .connect()
            .call("POST", "/v1/tasks", &[("Content-Type", "application/x-ndjson")], task)
            .unwrap()
            .problem(415, "unsupported_media_type");

        // A page of another site that resolves its name to this machine must not reach the server.
        for host in ["evil.example", "evil.example:8000", "localhost.evil.example", ""] {
            let reply = server.connect().call("GET", "/v1/tasks", &[("Host", host)], b"").unwrap();
            assert!(matches!(reply.status, 400 | 403 | 421), "Host {host:?} got {}", reply.status);
        }
        for host in ["localhost", "127.0.0.1:1", "[::1]:8000"] {
            let reply = server.connect().call("GET", "/v1/tasks", &[("Host", host)], b"").unwrap();
            assert_eq!(reply.status, 200, "Host {host:?}");
        }
        for garbage in
            [&b"\0\0\0\0\r\n\r\n"[..], b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01", b"GET\r\n\r\n"]
        {
            let mut connection = server.connect();
            connection.send(garbage).unwrap();
            connection.socket().shutdown(std::net::Shutdown::Write).unwrap();
            if let Ok(reply) = connection.receive() {
                assert!((400..506).contains(&reply.status), "{garbage:?} got {}", reply.status);
            }
        }
        assert_unharmed(&server);
    });
}
