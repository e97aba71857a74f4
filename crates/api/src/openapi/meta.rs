//! `meta` of a request: what a message belongs to.

use utoipa::ToSchema;

use super::words;

/// What a message belongs to. Stored and echoed; of all this only the use case has a meaning.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Meta {
    #[schema(schema_with = words::extra_information, required = false)]
    extra_information: Option<()>,
    /// How the recipient came here.
    referral: Option<Referral>,
    /// Products that were ordered.
    order: Option<Order>,
    /// The product that the message is about.
    referred_product: Option<ReferredProduct>,
    /// Settings of mails.
    email: Option<Email>,
    /// Settings of push notifications.
    push_notifications: Option<PushNotifications>,
    /// Bird's navigator.
    #[schema(format = "uuid")]
    navigator_id: Option<String>,
    /// The message of Bird's navigator.
    #[schema(format = "uuid")]
    navigator_message_id: Option<String>,
    /// The flow that sends the message.
    flow: Option<Step>,
    /// The journey that sends the message.
    journey: Option<Step>,
    /// The campaign that sends the message.
    campaign: Option<Campaign>,
}

/// How a recipient came here.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Referral {
    /// Where from.
    #[schema(max_length = 1024, examples("ad"))]
    source: String,
    /// Title of what was shown there.
    #[schema(max_length = 1024)]
    title: Option<String>,
    /// Text of what was shown there.
    #[schema(max_length = 1024)]
    text: Option<String>,
    /// Group of what was shown there.
    #[schema(max_length = 1024)]
    group: Option<String>,
    /// Details of the source.
    metadata: Option<ReferralMetadata>,
}

/// Details of a referral's source.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReferralMetadata {
    /// Id of the source.
    #[schema(max_length = 1024)]
    source_id: String,
    /// Address of the source.
    #[schema(max_length = 1024)]
    source_url: Option<String>,
    /// Address of what was shown.
    #[schema(max_length = 1024)]
    media_url: Option<String>,
    /// Id of the click.
    #[schema(max_length = 1024)]
    tracking_id: Option<String>,
}

/// Products that were ordered.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Order {
    /// The products.
    products: Vec<OrderedProduct>,
}

/// A product that was ordered.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct OrderedProduct {
    /// Its catalogue.
    #[schema(max_length = 1024)]
    external_catalog_id: String,
    /// The product.
    #[schema(max_length = 1024)]
    external_product_id: String,
    /// How many.
    quantity: i64,
    /// What one costs.
    price: Price,
}

/// An amount of money: `amount` times ten to the power of minus `exponent`.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Price {
    /// The amount in the smallest unit.
    amount: i64,
    /// Digits behind the point.
    exponent: i64,
    /// ISO 4217 code.
    #[schema(max_length = 1024, examples("KES"))]
    currency_code: String,
}

/// The product that a message is about.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ReferredProduct {
    /// Its catalogue.
    #[schema(max_length = 1024)]
    external_catalog_id: String,
    /// The product.
    #[schema(max_length = 1024)]
    external_product_id: String,
}

/// Settings of mails.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Email {
    /// The subject.
    #[schema(max_length = 1024)]
    subject: Option<String>,
    #[schema(schema_with = words::mail_headers, required = false)]
    headers: Option<()>,
    /// The sender.
    from: Option<EmailFrom>,
}

/// The sender of a mail.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct EmailFrom {
    /// What stands before the `@`.
    #[schema(max_length = 1024, examples("hello"))]
    username: Option<String>,
    /// The name shown.
    #[schema(max_length = 1024)]
    display_name: Option<String>,
}

/// Settings of push notifications.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PushNotifications {
    /// Which service sends them.
    gateway_type_override: Option<PushGateway>,
}

/// A service of push notifications.
#[derive(ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PushGateway {
    Apns,
    Firebase,
    Web,
}

/// A step of a flow or journey.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Step {
    /// The flow or journey.
    #[schema(format = "uuid")]
    id: Option<String>,
    /// Its name.
    #[schema(max_length = 1024)]
    name: Option<String>,
    /// The step.
    #[schema(max_length = 1024)]
    step_id: Option<String>,
    /// The run.
    #[schema(format = "uuid")]
    run_id: Option<String>,
}

/// A campaign.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Campaign {
    /// The campaign.
    #[schema(format = "uuid")]
    id: Option<String>,
    /// Its name.
    #[schema(max_length = 1024)]
    name: Option<String>,
}
