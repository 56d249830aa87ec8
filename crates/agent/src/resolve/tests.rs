use super::*;
use crate::clock::SystemClock;
use getrandom::SysRng;
use opencpm_domain::Span;
use proptest::prelude::*;
use rand_core::UnwrapErr;
use simple_dns::rdata::{A, CNAME, RData};
use simple_dns::{
    CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, Question, RCODE, ResourceRecord, TYPE,
};
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::thread;

fn resolve(dir: &std::path::Path, port: u16, host: &str) -> Result<Vec<IpAddr>, ResolveError> {
    let resolver = Resolver { etc: dir.to_owned(), port };
    resolver.addresses(host, &SystemClock, &mut UnwrapErr(SysRng))
}

/// An `/etc` that asks the machine itself.
fn etc(options: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let text = format!("nameserver 127.0.0.1\nsearch test.example\noptions timeout:1 {options}\n");
    fs::write(dir.path().join("resolv.conf"), text).unwrap();
    fs::write(dir.path().join("nsswitch.conf"), "hosts: nonexistent\n").unwrap();
    dir
}

/// The answer of a server that knows `gate.test.example`, an alias of `a.test.example`.
fn answer(question: &[u8]) -> Vec<u8> {
    let query = Packet::parse(question).unwrap();
    let asked = query.questions.first().unwrap().clone();
    let mut reply = query.clone().into_reply();
    if asked.qname.to_string() != "gate.test.example" {
        *reply.rcode_mut() = RCODE::NameError;
    } else if asked.qtype == QTYPE::TYPE(TYPE::A) {
        let alias = Name::new_unchecked("a.test.example");
        reply.answers = vec![
            ResourceRecord::new(
                asked.qname.clone(),
                CLASS::IN,
                1,
                RData::CNAME(CNAME(alias.clone())),
            ),
            ResourceRecord::new(alias, CLASS::IN, 1, RData::A(A { address: 0x0a00_0007 })),
        ];
    }
    reply.build_bytes_vec().unwrap()
}

fn question(id: u16) -> Vec<u8> {
    let mut packet = Packet::new_query(id);
    let name = Name::new_unchecked("gate.test.example");
    let kind = QTYPE::TYPE(TYPE::A);
    packet.questions.push(Question::new(name, kind, QCLASS::CLASS(CLASS::IN), false));
    packet.build_bytes_vec().unwrap()
}

/// Answers over UDP with `reply` until the test ends.
fn serve(socket: UdpSocket, reply: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static) {
    thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            for datagram in reply(&buffer[..length]) {
                socket.send_to(&datagram, from).unwrap();
            }
        }
    });
}

fn udp() -> (UdpSocket, u16) {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    let port = socket.local_addr().unwrap().port();
    (socket, port)
}

#[test]
fn addresses_and_the_hosts_file_need_no_server() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("hosts"), "10.1.1.1 gate\n").unwrap();
    assert_eq!(resolve(dir.path(), 1, "gate").unwrap(), ["10.1.1.1".parse::<IpAddr>().unwrap()]);
    assert!(resolve(dir.path(), 1, "localhost").unwrap().iter().all(IpAddr::is_loopback));
    assert_eq!(resolve(dir.path(), 1, "::1").unwrap(), ["::1".parse::<IpAddr>().unwrap()]);
}

#[test]
fn a_name_server_is_asked_with_the_search_domain_and_aliases_are_followed() {
    let (socket, port) = udp();
    serve(socket, |question| vec![answer(question)]);
    let dir = etc("");
    assert_eq!(resolve(dir.path(), port, "gate").unwrap(), ["10.0.0.7".parse::<IpAddr>().unwrap()]);
    let missing = resolve(dir.path(), port, "other").unwrap_err();
    assert!(matches!(missing, ResolveError::NoAddress(_)), "{missing:?}");
}

#[test]
fn a_forged_answer_with_another_id_is_not_taken() {
    let (socket, port) = udp();
    serve(socket, |question| {
        let truth = answer(question);
        let mut forged = truth.clone();
        forged[0] ^= 0xff;
        vec![forged, b"noise".to_vec(), truth]
    });
    let dir = etc("");
    assert_eq!(resolve(dir.path(), port, "gate").unwrap(), ["10.0.0.7".parse::<IpAddr>().unwrap()]);
}

#[test]
fn what_does_not_fit_a_datagram_comes_over_tcp() {
    let (socket, port) = udp();
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    serve(socket, |question| {
        let mut cut = Packet::parse(question).unwrap().into_reply();
        cut.set_flags(PacketFlag::TRUNCATION);
        vec![cut.build_bytes_vec().unwrap()]
    });
    thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let mut length = [0; 2];
            stream.read_exact(&mut length).unwrap();
            let mut question = vec![0; usize::from(u16::from_be_bytes(length))];
            stream.read_exact(&mut question).unwrap();
            let reply = answer(&question);
            let length = u16::try_from(reply.len()).unwrap().to_be_bytes();
            stream.write_all(&[&length[..], &reply].concat()).unwrap();
        }
    });
    let dir = etc("");
    assert_eq!(resolve(dir.path(), port, "gate").unwrap(), ["10.0.0.7".parse::<IpAddr>().unwrap()]);
}

#[test]
fn a_server_that_refuses_is_told_from_a_name_that_is_not_there() {
    let (socket, port) = udp();
    serve(socket, |question| {
        let mut reply = Packet::parse(question).unwrap().into_reply();
        *reply.rcode_mut() = RCODE::ServerFailure;
        vec![reply.build_bytes_vec().unwrap()]
    });
    let dir = etc("attempts:1");
    let error = resolve(dir.path(), port, "gate.x").unwrap_err();
    assert!(matches!(error, ResolveError::NoAnswer(_, QueryError::Refused(_))), "{error:?}");
}

proptest! {
    #[test]
    fn no_bytes_from_a_name_server_do_harm(
        bytes in proptest::collection::vec(any::<u8>(), 0..100),
        at in 0_usize..80,
    ) {
        let query = Query { name: "gate.test.example", kind: Kind::V4, id: 7, timeout: Span::default() };
        prop_assert!(!matches!(query.read(&bytes), Ok(Some(found)) if !found.is_empty()));
        let mut near = answer(&question(7));
        let bytes = bytes.iter().take(near.len().saturating_sub(at));
        near.iter_mut().skip(at).zip(bytes).for_each(|(old, new)| *old = *new);
        let _whatever = query.read(&near);
    }

    #[test]
    fn no_configuration_stops_the_resolver(text in ".{0,200}", host in "[a-z.]{1,20}") {
        in_hosts(&text, &host);
        prop_assert!(!Configuration::parse(&text).candidates(&host).is_empty());
    }
}
