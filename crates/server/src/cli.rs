//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use serde_json::Value;

/// Self-hosted gateway with an outbound queue: WhatsApp messages from your applications to Lipachat.
#[derive(Parser, Debug)]
#[command(name = "tuma", version, disable_help_subcommand = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Run the gateway, configured by TUMA_… environment variables.
    Serve(ServeArgs),
    /// Run everything on this machine with no set-up: private PostgreSQL, sandbox, gateway, one workspace.
    Dev(DevArgs),
    /// Run the Lipachat simulator alone.
    Sandbox(SandboxArgs),
    /// Apply migrations.
    Migrate(MigrateArgs),
    /// Check configuration, database, durability, secrets, clock and reachability; exit code 1 if anything is wrong.
    Check,
    /// Find out with at most five calls to a number of yours how the provider answers a repeated messageId, and store it.
    Probe(ProbeArgs),
    /// Administer workspaces, channels and access keys of a running gateway.
    Admin(AdminArgs),
}

/// Part of the gateway's work.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// Takes requests.
    Api,
    /// Sends messages.
    Worker,
}

/// Arguments of `serve`.
#[derive(Args, Debug)]
pub struct ServeArgs {
    /// What this process does.
    #[arg(long, value_delimiter = ',', default_values_t = [Role::Api, Role::Worker])]
    pub roles: Vec<Role>,
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Api => "api",
            Self::Worker => "worker",
        })
    }
}

/// Arguments of `dev`.
#[derive(Args, Debug)]
pub struct DevArgs {
    /// Address of the API; with port 0 every listener takes a free port.
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Folder of the database and of what is made on the first start.
    #[arg(long, default_value = ".tuma")]
    pub data_dir: PathBuf,
    /// Use a temporary folder, and remove it on exit.
    #[arg(long, conflicts_with = "data_dir")]
    pub ephemeral: bool,
    /// Send to this upstream instead of the sandbox: scheme and host.
    #[arg(long, value_parser = crate::config::bare_url)]
    pub lipachat_url: Option<String>,
    /// Print exactly one line of JSON on standard output once ready.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `sandbox`.
#[derive(Args, Debug)]
pub struct SandboxArgs {
    /// Address to listen on.
    #[arg(long, default_value = "127.0.0.1:8081")]
    pub listen: SocketAddr,
    /// Numbers that may send, digits only; without any, all may.
    #[arg(long, value_delimiter = ',')]
    pub numbers: Vec<String>,
    /// The one key that is right; without it, every key but an empty one is.
    #[arg(long, env = "SANDBOX_API_KEY", hide_env_values = true)]
    pub api_key: Option<String>,
    /// File that every request is added to, a line of JSON each; what it holds from before is known.
    #[arg(long)]
    pub journal: Option<PathBuf>,
}

/// Arguments of `migrate`.
#[derive(Args, Debug)]
pub struct MigrateArgs {
    /// Print what would be applied, and change nothing.
    #[arg(long)]
    pub plan: bool,
}

/// Arguments of `probe`. The environment is that of `serve`.
#[derive(Args, Debug)]
pub struct ProbeArgs {
    /// The channel whose number and key are used.
    #[arg(long)]
    pub channel: String,
    /// The number that gets the messages.
    #[arg(long)]
    pub to: String,
    /// The channel's workspace, where its id does not tell.
    #[arg(long)]
    pub workspace: Option<String>,
    /// Print one line of JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `admin`.
#[derive(Args, Debug)]
pub struct AdminArgs {
    /// Address of a running gateway. The admin token is taken from TUMA_ADMIN_TOKEN.
    #[arg(long, default_value = "http://127.0.0.1:8080", global = true)]
    pub url: String,
    /// Print the answer as JSON.
    #[arg(long, global = true)]
    pub json: bool,
    /// On what.
    #[command(subcommand)]
    pub subject: AdminSubject,
}

/// What is administered.
#[derive(Subcommand, Debug)]
pub enum AdminSubject {
    /// Tenants.
    #[command(subcommand)]
    Workspaces(WorkspaceAct),
    /// WhatsApp numbers of a workspace.
    #[command(subcommand)]
    Channels(ChannelAct),
    /// Access keys of a workspace.
    #[command(subcommand)]
    Keys(KeyAct),
    /// Tell whether sending is held, as after a restored backup.
    SendingHold,
    /// Let sending go on that is held because the database was put back in time or its clock was set.
    ReleaseSending,
}

/// Acts on workspaces.
#[derive(Subcommand, Debug)]
pub enum WorkspaceAct {
    /// List all.
    List,
    /// Make one.
    Create {
        /// Name, for people.
        #[arg(long)]
        name: String,
    },
    /// Change one; what is not named stays.
    Update {
        /// Its id.
        workspace: String,
        /// Another name.
        #[arg(long)]
        name: Option<String>,
        /// Other settings.
        #[command(flatten)]
        others: OtherSettings,
    },
}

/// Acts on channels.
#[derive(Subcommand, Debug)]
pub enum ChannelAct {
    /// List those of a workspace.
    List {
        /// The workspace's id.
        #[arg(long)]
        workspace: String,
    },
    /// Make one.
    Create {
        /// The workspace's id.
        #[arg(long)]
        workspace: String,
        /// What it is made with.
        #[command(flatten)]
        settings: ChannelSettingsArgs,
    },
    /// Change one; what is not named stays.
    Update {
        /// Its id.
        channel: String,
        /// The workspace's id.
        #[arg(long)]
        workspace: String,
        /// What changes.
        #[command(flatten)]
        settings: ChannelSettingsArgs,
    },
}

/// Settings of a channel.
#[derive(Args, Debug)]
pub struct ChannelSettingsArgs {
    /// Name, for people.
    #[arg(long)]
    pub name: Option<String>,
    /// The WhatsApp number: +254110090747.
    #[arg(long)]
    pub number: Option<String>,
    /// File with the Lipachat API key; "-" reads standard input.
    #[arg(long)]
    pub provider_key_file: Option<PathBuf>,
    /// promotional, conversational, transactional or 2fa.
    #[arg(long)]
    pub message_type: Option<String>,
    /// Rate the channel sends at.
    #[arg(long)]
    pub messages_per_second: Option<u32>,
    /// active or inactive.
    #[arg(long)]
    pub status: Option<String>,
    /// Other settings.
    #[command(flatten)]
    pub others: OtherSettings,
}

/// Settings by their names in the admin API.
#[derive(Args, Debug)]
pub struct OtherSettings {
    /// Any setting of the admin API, by its name there: weight=2, recipientRate={"intervalSeconds":6,"burst":45}. The value is
    /// JSON, else a text.
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = setting)]
    pub set: Vec<(String, Value)>,
}

fn setting(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or("must be NAME=VALUE")?;
    Ok((name.to_owned(), serde_json::from_str(value).unwrap_or_else(|_| Value::from(value))))
}

/// Acts on access keys.
#[derive(Subcommand, Debug)]
pub enum KeyAct {
    /// List those of a workspace, without their secrets.
    List {
        /// The workspace's id.
        #[arg(long)]
        workspace: String,
    },
    /// Make one; its secret is shown once.
    Create {
        /// The workspace's id.
        #[arg(long)]
        workspace: String,
        /// Name, for people.
        #[arg(long)]
        name: String,
        /// What it may do; without any, everything.
        #[arg(long, value_delimiter = ',')]
        scopes: Vec<String>,
    },
    /// Revoke one.
    Revoke {
        /// Its id.
        key: String,
        /// The workspace's id.
        #[arg(long)]
        workspace: String,
    },
}
