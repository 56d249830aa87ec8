//! `opencpm node`: processes without the API role. Needs a key with the admin permission.

use clap::Subcommand;
use serde_json::Value;

use super::CommandError;
use super::new_token::NewTokenArguments;
use crate::client::{Client, Parameters};
use crate::exit::Exit;
use crate::output::{self, field, tell};

#[derive(Subcommand)]
pub(crate) enum Node {
    /// Make a token; for a process with `--roles gateway`, as node.token_file
    Token {
        /// A name that the nodes' certificates carry, under which agents reach them; may be given
        /// again. The hosts of the gateways' addresses unless given
        #[arg(long = "name", value_name = "NAME")]
        names: Vec<String>,
        #[command(flatten)]
        token: NewTokenArguments,
    },
    /// List the nodes
    List,
    /// Give a node no certificate any more
    Revoke {
        /// Its id
        node: String,
    },
}

impl Node {
    pub(crate) async fn run(self, client: Client, json: bool) -> Result<Exit, CommandError> {
        match self {
            Self::Token { names, token } => {
                let special = Parameters::new().with_list("names", names);
                token.make(&client, json, "CreateNodeToken", special).await?;
            }
            Self::List => {
                let data = client.call("DescribeNodes", Parameters::new()).await?;
                if json { output::json(&data) } else { show(&data) }
            }
            Self::Revoke { node } => {
                let parameters = Parameters::new().with("nodeId", &node);
                let data = client.call("RevokeNode", parameters).await?;
                tell(json, &data, &format!("node {node} gets no certificate any more"));
            }
        }
        Ok(Exit::DONE)
    }
}

fn show(data: &Value) {
    let nodes = data["nodeList"].as_array().into_iter().flatten();
    let rows = nodes.map(|node| {
        let names = node["names"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let state = if field(node, "revoked") == "true" { "revoked" } else { "" };
        [
            field(node, "nodeId"),
            field(node, "hostname"),
            names.collect::<Vec<_>>().join(" "),
            field(node, "joinTime"),
            field(node, "renewTime"),
            state.to_owned(),
        ]
    });
    let header = ["node", "host", "names", "joined", "certified", ""];
    output::table(header, rows.collect(), "no nodes");
}
