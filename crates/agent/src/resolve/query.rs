//! One question to one name server (RFC 1035).

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};

use opencpm_domain::Span;
use simple_dns::rdata::RData;
use simple_dns::{
    CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, Question, RCODE, SimpleDnsError, TYPE,
};

use crate::clock::{Clock, duration};

/// Which kind of address is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    V4,
    V6,
}

/// What to ask.
pub(super) struct Query<'a> {
    pub(super) name: &'a str,
    pub(super) kind: Kind,
    /// Random: who cannot see the question cannot forge the answer.
    pub(super) id: u16,
    pub(super) timeout: Span,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// There is nobody to ask.
    #[error("no name server is configured")]
    NoServer,
    /// The name cannot be asked for.
    #[error("the name is no DNS name")]
    Name(#[source] SimpleDnsError),
    /// A socket failed, or nothing came in time.
    #[error("the name server did not answer")]
    Socket(#[source] io::Error),
    /// An answer that is none.
    #[error("the name server's answer cannot be read")]
    Malformed(#[source] SimpleDnsError),
    /// It answered another question.
    #[error("the name server answered another question")]
    OtherQuestion,
    /// It cannot or will not answer.
    #[error("the name server refused ({0:?})")]
    Refused(RCODE),
}

/// What RFC 1035 allows without EDNS is 512; some servers send more.
const LARGEST_UDP: usize = 4096;

/// How many aliases are followed within an answer.
const MOST_ALIASES: usize = 8;

impl Query<'_> {
    /// The addresses in the answer; none where the name or the kind does not exist.
    pub(super) fn ask(
        &self,
        server: SocketAddr,
        clock: &dyn Clock,
    ) -> Result<Vec<IpAddr>, QueryError> {
        let question = self.packet()?;
        let until = clock.since_boot().as_micros() + self.timeout.as_micros();
        let left = || match until.saturating_sub(clock.since_boot().as_micros()) {
            0 => Err(QueryError::Socket(ErrorKind::TimedOut.into())),
            left => Ok(Span::from_micros(left)),
        };
        match self.ask_udp(&question, server, &left)? {
            Some(found) => Ok(found),
            None => self.ask_tcp(&question, server, &left),
        }
    }

    fn packet(&self) -> Result<Vec<u8>, QueryError> {
        let name = Name::new(self.name).map_err(QueryError::Name)?;
        let kind = match self.kind {
            Kind::V4 => TYPE::A,
            Kind::V6 => TYPE::AAAA,
        };
        let mut packet = Packet::new_query(self.id);
        packet.set_flags(PacketFlag::RECURSION_DESIRED);
        packet.questions.push(Question::new(
            name,
            QTYPE::TYPE(kind),
            QCLASS::CLASS(CLASS::IN),
            false,
        ));
        packet.build_bytes_vec().map_err(QueryError::Name)
    }

    /// `None` when the answer did not fit.
    fn ask_udp(
        &self,
        question: &[u8],
        server: SocketAddr,
        left: &dyn Fn() -> Result<Span, QueryError>,
    ) -> Result<Option<Vec<IpAddr>>, QueryError> {
        let any: IpAddr = if server.is_ipv4() {
            Ipv4Addr::UNSPECIFIED.into()
        } else {
            Ipv6Addr::UNSPECIFIED.into()
        };
        let socket = UdpSocket::bind(SocketAddr::new(any, 0)).map_err(QueryError::Socket)?;
        // Connected: the kernel drops what comes from elsewhere.
        socket.connect(server).map_err(QueryError::Socket)?;
        socket.send(question).map_err(QueryError::Socket)?;
        let mut buffer = [0; LARGEST_UDP];
        loop {
            socket.set_read_timeout(Some(duration(left()?))).map_err(QueryError::Socket)?;
            let length = socket.recv(&mut buffer).map_err(QueryError::Socket)?;
            match self.read(&buffer[..length]) {
                // A stray or forged datagram; the true answer may still come.
                Err(QueryError::Malformed(_) | QueryError::OtherQuestion) => {}
                answer => return answer,
            }
        }
    }

    fn ask_tcp(
        &self,
        question: &[u8],
        server: SocketAddr,
        left: &dyn Fn() -> Result<Span, QueryError>,
    ) -> Result<Vec<IpAddr>, QueryError> {
        let lost = QueryError::Socket;
        let mut stream = TcpStream::connect_timeout(&server, duration(left()?)).map_err(lost)?;
        stream.set_write_timeout(Some(duration(left()?))).map_err(lost)?;
        let length = u16::try_from(question.len()).unwrap_or(0).to_be_bytes();
        stream.write_all(&[&length[..], question].concat()).map_err(lost)?;
        let mut length = [0; 2];
        read_within(&mut stream, &mut length, left)?;
        let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
        read_within(&mut stream, &mut answer, left)?;
        // Nothing is cut off here, whatever the answer says.
        self.read(&answer).map(Option::unwrap_or_default)
    }

    /// `None` for an answer that was cut off.
    pub(super) fn read(&self, answer: &[u8]) -> Result<Option<Vec<IpAddr>>, QueryError> {
        let packet = Packet::parse(answer).map_err(QueryError::Malformed)?;
        let name = Name::new(self.name).map_err(QueryError::Name)?;
        let asked = packet.questions.first().is_some_and(|q| same(&q.qname, &name));
        if packet.id() != self.id || !packet.has_flags(PacketFlag::RESPONSE) || !asked {
            return Err(QueryError::OtherQuestion);
        }
        if packet.has_flags(PacketFlag::TRUNCATION) {
            return Ok(None);
        }
        match packet.rcode() {
            RCODE::NoError => Ok(Some(self.found(&packet, name))),
            RCODE::NameError => Ok(Some(Vec::new())),
            other => Err(QueryError::Refused(other)),
        }
    }

    /// Follows aliases from the name to its addresses.
    fn found(&self, packet: &Packet<'_>, name: Name<'_>) -> Vec<IpAddr> {
        let mut name = name.into_owned();
        for _ in 0..MOST_ALIASES {
            let of_name = packet.answers.iter().filter(|record| same(&record.name, &name));
            let addresses: Vec<_> =
                of_name.clone().filter_map(|record| self.address(&record.rdata)).collect();
            let alias = of_name.into_iter().find_map(|record| match &record.rdata {
                RData::CNAME(target) => Some(target.0.clone().into_owned()),
                _ => None,
            });
            match alias {
                Some(target) if addresses.is_empty() => name = target,
                _ => return addresses,
            }
        }
        Vec::new()
    }

    fn address(&self, data: &RData<'_>) -> Option<IpAddr> {
        match (self.kind, data) {
            (Kind::V4, RData::A(a)) => Some(Ipv4Addr::from_bits(a.address).into()),
            (Kind::V6, RData::AAAA(a)) => Some(Ipv6Addr::from_bits(a.address).into()),
            _ => None,
        }
    }
}

fn same(a: &Name<'_>, b: &Name<'_>) -> bool {
    a.to_string().eq_ignore_ascii_case(&b.to_string())
}

/// Fills the buffer before the time is over, however slowly the bytes drip.
fn read_within(
    stream: &mut TcpStream,
    buffer: &mut [u8],
    left: &dyn Fn() -> Result<Span, QueryError>,
) -> Result<(), QueryError> {
    let mut filled = 0;
    while filled < buffer.len() {
        stream.set_read_timeout(Some(duration(left()?))).map_err(QueryError::Socket)?;
        match stream.read(&mut buffer[filled..]).map_err(QueryError::Socket)? {
            0 => return Err(QueryError::Socket(ErrorKind::UnexpectedEof.into())),
            more => filled += more,
        }
    }
    Ok(())
}
