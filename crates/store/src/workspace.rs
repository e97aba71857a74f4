//! Workspaces, the tenants.

use domain::id::{OrganizationId, WorkspaceId};
use domain::links::LinkParameters;
use domain::options::FrequencyCap;
use domain::pause::Pause;
use domain::quiet_hours::QuietHours;
use jiff::Timestamp;
use tokio_postgres::Row;

use crate::audit::Act;
use crate::client::{Store, get};
use crate::error::Error;
use crate::quiet_hours::quiet_hours;

/// A workspace.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Workspace {
    /// Its id.
    pub id: WorkspaceId,
    /// The organization it belongs to.
    pub organization: OrganizationId,
    /// Its name, for people.
    pub name: String,
    /// How often messages that ask for the cap reach one recipient.
    pub frequency_cap: FrequencyCap,
    /// What link tracking puts on links.
    pub link_parameters: LinkParameters,
    /// How often its keys may ask.
    pub request_limits: RequestLimits,
    /// Days after which ended messages lose their texts.
    pub body_retention_days: u32,
    /// Its share where several workspaces contend for the limit of one provider account.
    pub weight: u32,
    /// Quiet hours of its channels that have none of their own.
    pub quiet_hours: Option<QuietHours>,
    /// Its open pauses, the newest first; only [`Store::workspace`] tells them.
    pub pauses: Vec<Pause>,
    /// Made at.
    pub created_at: Timestamp,
    /// Last changed at.
    pub updated_at: Timestamp,
}

/// Requests a second that the keys of a workspace may make together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RequestLimits {
    /// Requests that change something.
    pub posts_per_second: u32,
    /// Requests that read.
    pub gets_per_second: u32,
}

/// What is to be changed of a workspace; `None` stays as it is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct WorkspaceChange {
    /// Name.
    pub name: Option<String>,
    /// Frequency cap.
    pub frequency_cap: Option<FrequencyCap>,
    /// Tracking parameters.
    pub link_parameters: Option<LinkParameters>,
    /// Request limits.
    pub request_limits: Option<RequestLimits>,
    /// Days that texts are kept.
    pub body_retention_days: Option<u32>,
    /// Share of a provider account's limit.
    pub weight: Option<u32>,
}

const ORGANIZATION: &str = "-- store.workspace.organization
SELECT organization_id FROM installation";

const CREATE: &str = "-- store.workspace.create
WITH made AS (
    INSERT INTO workspaces (workspace_id, organization_id, name)
    SELECT $1, organization_id, $2 FROM installation
    RETURNING workspace_id, organization_id, name, created_at, updated_at,
        frequency_cap_messages, frequency_cap_days, link_parameters, posts_per_second, gets_per_second, body_retention_days, weight, quiet_hours
), noted AS (
    INSERT INTO audit (workspace_id, actor, act, subject, detail)
    SELECT workspace_id, $3, $4, workspace_id::text, name FROM made
)
SELECT workspace_id, organization_id, name, created_at, updated_at,
    frequency_cap_messages, frequency_cap_days, link_parameters, posts_per_second, gets_per_second, body_retention_days, weight, quiet_hours
FROM made";

// Owners of its channels learn of a weight as of a change of the channel.
const UPDATE: &str = "-- store.workspace.update
WITH changed AS (
    UPDATE workspaces SET name = coalesce($2, name), frequency_cap_messages = coalesce($3, frequency_cap_messages),
        frequency_cap_days = coalesce($4, frequency_cap_days), link_parameters = coalesce($5, link_parameters),
        posts_per_second = coalesce($6, posts_per_second), gets_per_second = coalesce($7, gets_per_second),
        body_retention_days = coalesce($10, body_retention_days), weight = coalesce($11, weight), updated_at = clock_timestamp()
    WHERE workspace_id = $1
    RETURNING workspace_id, organization_id, name, created_at, updated_at,
        frequency_cap_messages, frequency_cap_days, link_parameters, posts_per_second, gets_per_second, body_retention_days, weight, quiet_hours
), noted AS (
    INSERT INTO audit (workspace_id, actor, act, subject, detail)
    SELECT workspace_id, $8, $9, workspace_id::text, name FROM changed
), told AS (
    UPDATE channels SET revision = revision + 1
    WHERE workspace_id = $1 AND (SELECT weight FROM workspaces WHERE workspace_id = $1) <> $11::integer
)
SELECT workspace_id, organization_id, name, created_at, updated_at,
    frequency_cap_messages, frequency_cap_days, link_parameters, posts_per_second, gets_per_second, body_retention_days, weight, quiet_hours
FROM changed";

const GET: &str = "-- store.workspace.get
SELECT workspace_id, organization_id, name, created_at, updated_at,
    frequency_cap_messages, frequency_cap_days, link_parameters, posts_per_second, gets_per_second, body_retention_days, weight, quiet_hours
FROM workspaces WHERE workspace_id = $1";

const LIST: &str = "-- store.workspace.list
SELECT workspace_id, organization_id, name, created_at, updated_at,
    frequency_cap_messages, frequency_cap_days, link_parameters, posts_per_second, gets_per_second, body_retention_days, weight, quiet_hours
FROM workspaces
WHERE workspace_id > $1 ORDER BY workspace_id LIMIT $2";

impl Store {
    /// The organization of this installation.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn organization(&self) -> Result<OrganizationId, Error> {
        let row = self.one(ORGANIZATION, &[]).await?;
        Ok(OrganizationId(get(&row, 0)?))
    }

    /// Makes a workspace.
    ///
    /// # Errors
    /// [`Error::Exists`] when the id is taken.
    pub async fn create_workspace(&self, id: WorkspaceId, name: &str, act: &Act<'_>) -> Result<Workspace, Error> {
        let row = self.one(CREATE, &[&id.0, &name, &act.actor, &act.name]).await?;
        workspace(&row)
    }

    /// Changes what is named; `None` when there is no such workspace.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn update_workspace(
        &self,
        id: WorkspaceId,
        change: &WorkspaceChange,
        act: &Act<'_>,
    ) -> Result<Option<Workspace>, Error> {
        let number = |number: Option<u32>| number.map(i32::try_from).transpose().map_err(Error::corrupt);
        let parameters = change.link_parameters.as_ref().map(serde_json::to_string).transpose();
        let row = self
            .maybe_one(
                UPDATE,
                &[
                    &id.0,
                    &change.name,
                    &number(change.frequency_cap.map(|cap| cap.messages))?,
                    &number(change.frequency_cap.map(|cap| cap.days))?,
                    &parameters.map_err(Error::corrupt)?,
                    &number(change.request_limits.map(|limits| limits.posts_per_second))?,
                    &number(change.request_limits.map(|limits| limits.gets_per_second))?,
                    &act.actor,
                    &act.name,
                    &number(change.body_retention_days)?,
                    &number(change.weight)?,
                ],
            )
            .await?;
        row.as_ref().map(workspace).transpose()
    }

    /// One workspace, with its open pauses.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn workspace(&self, id: WorkspaceId) -> Result<Option<Workspace>, Error> {
        let Some(row) = self.maybe_one(GET, &[&id.0]).await? else { return Ok(None) };
        Ok(Some(Workspace { pauses: self.open_pauses(id).await?, ..workspace(&row)? }))
    }

    /// Workspaces after an id, in order of id.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn workspaces(&self, after: WorkspaceId, limit: i64) -> Result<Vec<Workspace>, Error> {
        self.query(LIST, &[&after.0, &limit]).await?.iter().map(workspace).collect()
    }
}

fn workspace(row: &Row) -> Result<Workspace, Error> {
    let number = |index| u32::try_from(get::<i32>(row, index)?).map_err(Error::corrupt);
    Ok(Workspace {
        id: WorkspaceId(get(row, 0)?),
        organization: OrganizationId(get(row, 1)?),
        name: get(row, 2)?,
        created_at: get(row, 3)?,
        updated_at: get(row, 4)?,
        frequency_cap: FrequencyCap { messages: number(5)?, days: number(6)? },
        link_parameters: serde_json::from_str(get(row, 7)?).map_err(Error::corrupt)?,
        request_limits: RequestLimits { posts_per_second: number(8)?, gets_per_second: number(9)? },
        body_retention_days: number(10)?,
        weight: number(11)?,
        quiet_hours: quiet_hours(row, 12)?,
        pauses: Vec::new(),
    })
}
