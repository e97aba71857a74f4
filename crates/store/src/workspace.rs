//! Workspaces, the tenants.

use domain::id::{OrganizationId, WorkspaceId};
use jiff::Timestamp;
use tokio_postgres::Row;

use crate::audit::Act;
use crate::client::{Store, get};
use crate::error::Error;

/// A workspace.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Workspace {
    /// Its id.
    pub id: WorkspaceId,
    /// The organization it belongs to.
    pub organization: OrganizationId,
    /// Its name, for people.
    pub name: String,
    /// Made at.
    pub created_at: Timestamp,
    /// Last changed at.
    pub updated_at: Timestamp,
}

const ORGANIZATION: &str = "-- store.workspace.organization
SELECT organization_id FROM installation";

const CREATE: &str = "-- store.workspace.create
WITH made AS (
    INSERT INTO workspaces (workspace_id, organization_id, name)
    SELECT $1, organization_id, $2 FROM installation
    RETURNING workspace_id, organization_id, name, created_at, updated_at
), noted AS (
    INSERT INTO audit (workspace_id, actor, act, subject, detail)
    SELECT workspace_id, $3, $4, workspace_id::text, name FROM made
)
SELECT workspace_id, organization_id, name, created_at, updated_at FROM made";

const RENAME: &str = "-- store.workspace.rename
WITH changed AS (
    UPDATE workspaces SET name = $2, updated_at = clock_timestamp() WHERE workspace_id = $1
    RETURNING workspace_id, organization_id, name, created_at, updated_at
), noted AS (
    INSERT INTO audit (workspace_id, actor, act, subject, detail)
    SELECT workspace_id, $3, $4, workspace_id::text, name FROM changed
)
SELECT workspace_id, organization_id, name, created_at, updated_at FROM changed";

const GET: &str = "-- store.workspace.get
SELECT workspace_id, organization_id, name, created_at, updated_at FROM workspaces WHERE workspace_id = $1";

const LIST: &str = "-- store.workspace.list
SELECT workspace_id, organization_id, name, created_at, updated_at FROM workspaces
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

    /// Gives a workspace another name; `None` when there is no such workspace.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn rename_workspace(
        &self,
        id: WorkspaceId,
        name: &str,
        act: &Act<'_>,
    ) -> Result<Option<Workspace>, Error> {
        self.maybe_one(RENAME, &[&id.0, &name, &act.actor, &act.name]).await?.as_ref().map(workspace).transpose()
    }

    /// One workspace.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn workspace(&self, id: WorkspaceId) -> Result<Option<Workspace>, Error> {
        self.maybe_one(GET, &[&id.0]).await?.as_ref().map(workspace).transpose()
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
    Ok(Workspace {
        id: WorkspaceId(get(row, 0)?),
        organization: OrganizationId(get(row, 1)?),
        name: get(row, 2)?,
        created_at: get(row, 3)?,
        updated_at: get(row, 4)?,
    })
}
