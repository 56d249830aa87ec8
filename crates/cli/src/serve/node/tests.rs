//! A node's visits to a running service, over TLS on loopback. The node's clock is moved by hand.

use std::sync::atomic::{AtomicU64, Ordering};

use opencpm_domain::{Span, Timestamp};
use opencpm_protocol::conversation::Breach;
use secrecy::ExposeSecret;
use serde_json::Value;
use tempfile::TempDir;

use super::*;
use crate::client::answer::NewToken;
use crate::client::profile::ProfileArgs;
use crate::client::{Client, Parameters};
use crate::config::{Agents, Api, Config};
use crate::serve::{ADMIN, Server};
use crate::system::{SystemClock, SystemRandom, clock_and_random};

struct HandClock(AtomicU64);

impl HandClock {
    fn advance(&self, span: Span) {
        self.0.fetch_add(span.as_micros(), Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

const MONTH: Span = Span::from_secs(31 * 86_400);

/// A service and its administrator.
struct Site {
    server: Server,
    client: Client,
    clock: Arc<HandClock>,
    dir: TempDir,
}

impl Site {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let usual = Config::default();
        let any = ([127, 0, 0, 1], 0).into();
        let names = vec!["localhost".to_owned()];
        let config = Config {
            dir: dir.path().join("api"),
            api: Api { listen: any, names, ..usual.api },
            agents: Agents { listen: any, ..usual.agents },
            ..usual
        };
        let server = Server::start(config).await.unwrap();
        let profile = ProfileArgs::file(dir.path().join("api").join(ADMIN)).load().unwrap();
        let (clock, random) = clock_and_random();
        let client = Client::new(profile, clock, random).unwrap();
        let clock = Arc::new(HandClock(SystemClock.now().as_micros().into()));
        Self { server, client, clock, dir }
    }

    /// The text of a token for the name 127.0.0.1, in a file.
    async fn token(&self) -> PathBuf {
        let order = Parameters::new().with_list("names", vec!["127.0.0.1"]);
        let made: NewToken = self.client.ask("CreateNodeToken", order).await.unwrap();
        self.file("token", made.token.expose_secret())
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// What a process does with this folder and token.
    async fn open(&self, name: &str, token: Option<&Path>) -> Result<Membership, NodeError> {
        let dir = self.dir.path().join(name);
        std::fs::create_dir_all(&dir).unwrap();
        let clock: Arc<dyn Clock> = self.clock.clone();
        let random: Arc<dyn Random> = Arc::new(SystemRandom);
        Membership::open(Place { dir: &dir, token_file: token, clock, random }).await
    }

    async fn nodes(&self) -> Vec<Value> {
        let data = self.client.call("DescribeNodes", Parameters::new()).await.unwrap();
        data["nodeList"].as_array().unwrap().clone()
    }
}

fn shown(member: &Membership) -> Vec<u8> {
    member.certificate.shown().cert[0].to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_joins_once_renews_after_a_month_and_not_once_it_is_revoked() {
    let site = Site::start().await;
    let token = site.token().await;
    let mut member = site.open("node", Some(&token)).await.unwrap();
    let first = shown(&member);
    // The next start needs neither the token nor an API node.
    std::fs::remove_file(&token).unwrap();
    assert_eq!(shown(&site.open("node", None).await.unwrap()), first);
    assert!(site.clock.now() < member.joined.renew);
    site.clock.advance(MONTH);
    assert!(site.clock.now() >= member.joined.renew);
    member.renew().await.unwrap();
    let second = shown(&member);
    assert_ne!(first, second);
    assert_eq!(shown(&site.open("node", None).await.unwrap()), second);
    let nodes = site.nodes().await;
    assert_eq!(nodes.len(), 1);
    let revoke = Parameters::new().with("nodeId", nodes[0]["nodeId"].as_str().unwrap());
    site.client.call("RevokeNode", revoke).await.unwrap();
    let refused = member.renew().await.unwrap_err();
    assert!(chain(&refused).contains("revoked"), "{}", chain(&refused));
    assert_eq!(shown(&member), second);
    site.server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_that_failed_is_tried_again_within_a_minute_and_then_more_rarely() {
    let site = Site::start().await;
    let mut member = site.open("node", Some(&site.token().await)).await.unwrap();
    assert_eq!(member.look().await, LOOK);
    site.clock.advance(MONTH);
    let addresses = std::mem::replace(&mut member.joined.addresses, vec!["127.0.0.1:1".into()]);
    for limit in [60, 120, 240, 480, 900, 900] {
        let pause = member.look().await;
        assert!(pause <= Duration::from_secs(limit), "{pause:?}");
    }
    member.joined.addresses = addresses;
    let before = shown(&member);
    assert_eq!((member.look().await, member.failures), (LOOK, 0));
    assert_ne!(shown(&member), before);
    site.server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_did_not_hear_the_answer_joins_again_and_a_second_one_does_not() {
    let site = Site::start().await;
    let token = site.token().await;
    site.open("node", Some(&token)).await.unwrap();
    // Killed before it wrote the answer down.
    std::fs::remove_file(site.dir.path().join("node").join("node.pem")).unwrap();
    site.open("node", Some(&token)).await.unwrap();
    assert_eq!(site.nodes().await.len(), 1);
    let Err(refused) = site.open("other", Some(&token)).await else { panic!("it joined") };
    assert!(refused.is_final() && chain(&refused).contains("used up"), "{}", chain(&refused));
    site.server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_another_deployment_tells_its_secret_to_nobody() {
    let site = Site::start().await;
    let text = std::fs::read_to_string(site.token().await).unwrap();
    let ours = NodeToken::parse(&text).unwrap();
    let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
    let other = SigningKey::generate(&mut rng).public();
    let addresses = ours.addresses().to_vec();
    let foreign = NodeToken::generate(&mut rng, other, ours.deployment(), addresses).unwrap();
    let file = site.file("foreign", foreign.to_secret_text().expose_secret());
    let Err(refused) = site.open("node", Some(&file)).await else { panic!("it joined") };
    let breach = |source: &VisitError| matches!(source, VisitError::Breach(Breach::Signature(..)));
    assert!(matches!(&refused, NodeError::Refused { source, .. } if breach(source)), "{refused:?}");
    assert!(site.nodes().await.is_empty());
    site.server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_with_the_master_key_is_refused_to_a_node() {
    let site = Site::start().await;
    let token = site.token().await;
    let Err(refused) = site.open("api", Some(&token)).await else { panic!("it joined") };
    assert!(matches!(refused, NodeError::MasterKey(_)), "{refused}");
    site.server.stop().await.unwrap();
}
