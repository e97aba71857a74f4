//! Lists of messages: every filter alone and with every other one gives what a look at all messages gives, page by page
//! in both orders, however few rows a round may look at.

use domain::id::{ChannelId, ContactId, MessageId};
use domain::lifecycle::Status;
use domain::message::{MessageKey, Tag};
use domain::phone::PhoneNumber;
use jiff::Timestamp;
use store::accept::NewMessage;
use store::list::{Driver, Filter, Order, ROUNDS};
use store::message::{Direction, Message, first_id_at};
use testkit::Tenant;
use uuid::Uuid;

use crate::fixtures::{Fixture, keyed, later, message_of};

const MESSAGES: usize = 96;
/// Milliseconds from one message to the next.
const STEP: i64 = 10;
/// Few, so that pages end in the middle of rounds and rounds in the middle of pages.
const SMALL_ROUNDS: &[i64] = &[7, 11];
/// More pages than any list of these tests has.
const PAGES_MAX: usize = 2 * MESSAGES;

#[tokio::test]
async fn filters_alone_and_together_give_what_a_look_at_all_messages_gives() {
    let f = Fixture::new().await;
    let filters = mixed(&f).await;
    let all = walk(&f, &Filter::default(), Order::OldestFirst, 1000, ROUNDS).await;
    assert_eq!(all.len(), MESSAGES);
    for shown in Status::ALL {
        assert!(all.iter().any(|message| message.status == shown), "none is {shown:?}");
    }
    let unknown: Vec<bool> = all.iter().filter(|m| m.is_unknown()).map(|m| m.status.is_waiting()).collect();
    assert!(unknown.contains(&true) && unknown.contains(&false), "{unknown:?}");
    let mut hits = 0;
    for (index, (name, one)) in filters.iter().enumerate() {
        for (other_name, other) in &filters[index..] {
            let both = and(one, other);
            let mut expected: Vec<MessageId> = all.iter().filter(|m| fits(m, &both)).map(|m| m.id).collect();
            hits += expected.len();
            for order in Order::ALL {
                let found = ids(&walk(&f, &both, order, 9, SMALL_ROUNDS).await);
                if order == Order::NewestFirst {
                    expected.reverse();
                }
                assert_eq!(found, expected, "{name}, {other_name}, {order:?}");
                expected.sort_unstable();
            }
        }
    }
    assert!(hits > MESSAGES, "hardly anything fits: {hits}");
    // No list leads into another workspace, whatever it is narrowed down by.
    let stranger = Tenant::create(&f.store, "another-key").await;
    for (name, filter) in &filters {
        for limit in [1, 10] {
            let page = f.store.list_messages(stranger.workspace, filter, Order::NewestFirst, None, limit, ROUNDS).await;
            let page = page.expect("read");
            assert_eq!((page.messages.len(), page.next), (0, None), "{name}, {limit} a page");
        }
    }
}

#[tokio::test]
async fn a_key_is_of_one_message_and_other_filters_hold_beside_it() {
    let f = Fixture::new().await;
    mixed(&f).await;
    let key = |text: &str| Some(MessageKey::new(text).expect("a key"));
    let of = async |filter: Filter| walk(&f, &filter, Order::NewestFirst, 10, ROUNDS).await;
    let found = of(Filter { key: key("key-12"), ..Filter::default() }).await;
    assert_eq!(found.iter().map(|m| m.reference.as_str()).collect::<Vec<_>>(), ["order-2"]);
    assert_eq!(of(Filter { key: key("key-none"), ..Filter::default() }).await, []);
    let beside = Filter { key: key("key-12"), reference: Some("order-3".to_owned()), ..Filter::default() };
    assert_eq!(beside.driver(), Driver::Key);
    assert_eq!(of(beside).await, []);
}

#[tokio::test]
async fn a_page_ends_after_so_many_rows_and_the_next_one_goes_on_behind_them() {
    let f = Fixture::new().await;
    mixed(&f).await;
    let all = ids(&walk(&f, &Filter::default(), Order::OldestFirst, 1000, ROUNDS).await);
    // Messages that failed to be delivered have no reference, and those received have one.
    let nothing =
        Filter { direction: Some(Direction::Incoming), statuses: vec![Status::DeliveryFailed], ..Filter::default() };
    let list = async |beyond, rounds: &[i64]| {
        f.store.list_messages(f.tenant.workspace, &nothing, Order::OldestFirst, beyond, 10, rounds).await.expect("read")
    };
    let page = list(None, &[3, 4]).await;
    assert_eq!((page.messages.len(), page.next), (0, Some(all[6])), "seven rows were looked at");
    let page = list(page.next, &[3, 4]).await;
    assert_eq!((page.messages.len(), page.next), (0, Some(all[13])));
    let page = list(None, &[i64::try_from(MESSAGES).expect("few") + 1]).await;
    assert_eq!((page.messages.len(), page.next), (0, None), "all rows were looked at");
    // What a filter is walked along needs no looking: a round as long as the page will do.
    let page = f.store.list_messages(f.tenant.workspace, &Filter::default(), Order::OldestFirst, None, 10, &[1]).await;
    assert_eq!(ids(&page.expect("read").messages), all[..10]);
}

#[tokio::test]
async fn what_is_accepted_while_a_filtered_list_is_walked_is_neither_lost_nor_repeated() {
    for order in Order::ALL {
        let f = Fixture::new().await;
        mixed(&f).await;
        let filter = Filter { tags: vec![tag("even")], channel: Some(f.tenant.channel.id), ..Filter::default() };
        let before = ids(&walk(&f, &filter, Order::OldestFirst, 1000, ROUNDS).await);
        let (mut walked, mut beyond, mut added) = (Vec::new(), None, Vec::new());
        loop {
            let page = f.store.list_messages(f.tenant.workspace, &filter, order, beyond, 5, SMALL_ROUNDS).await;
            let page = page.expect("read");
            walked.extend(ids(&page.messages));
            let Some(next) = page.next else { break };
            beyond = Some(next);
            if added.len() < 6 {
                let at = later(start(), 3600 + i64::try_from(added.len()).expect("few"));
                let message = NewMessage { id: id_at(at, 0), tags: vec![tag("even")], ..message_of(&f.tenant, at) };
                f.accept_one(&message).await;
                added.push(message.id);
            }
        }
        assert!(!added.is_empty());
        let expected: Vec<MessageId> = match order {
            Order::NewestFirst => before.into_iter().rev().collect(),
            Order::OldestFirst => before.into_iter().chain(added).collect(),
        };
        assert_eq!(walked, expected, "{order:?}");
    }
}

/// Messages of all kinds, and the filters to find them with.
async fn mixed(f: &Fixture) -> Vec<(&'static str, Filter)> {
    let second = Tenant::create_channel(&f.store, f.tenant.workspace, &f.tenant.channel.settings, "k").await;
    let batch = Uuid::new_v4();
    let mut messages = Vec::new();
    for number in 0..MESSAGES {
        messages.push(numbered(f, number, second.id, batch));
    }
    f.store.accept(&messages).await.expect("accepted");
    // Statuses, and what follows from the outbox row of those that wait.
    for (status, rest) in ["sent", "delivered", "sending_failed", "delivery_failed", "rejected", "skipped", "deleted"]
        .into_iter()
        .zip(5..)
    {
        let which =
            messages.iter().enumerate().filter(|(number, _)| number % 12 == rest).map(|(_, message)| message.id);
        let which = which.map(|id| format!("'{id}'")).collect::<Vec<_>>().join(",");
        f.database
            .execute(&format!(
                "UPDATE messages SET status = '{status}' WHERE message_id IN ({which});
                DELETE FROM outbox WHERE message_id IN ({which})"
            ))
            .await;
    }
    for (rest, change) in [
        (1, "UPDATE outbox SET claim = 1, maybe_sent = claim = 0"),
        (2, "DELETE FROM outbox"),
        (7, "UPDATE messages SET failure_code = 16002, failure_source = 'tuma', failure_source_code = ''"),
        (8, "UPDATE messages SET failure_code = 16005, failure_source = 'tuma', failure_source_code = ''"),
    ] {
        let which =
            messages.iter().enumerate().filter(|(number, _)| number % 12 == rest).map(|(_, message)| message.id);
        let which = which.map(|id| format!("'{id}'")).collect::<Vec<_>>().join(",");
        f.database.execute(&format!("{change} WHERE message_id IN ({which})")).await;
    }
    f.database.execute("UPDATE messages SET direction = 'incoming' WHERE reference = 'order-3'").await;
    filters(f, second.id, batch)
}

fn numbered(f: &Fixture, number: usize, second: ChannelId, batch: Uuid) -> NewMessage {
    let step = i64::try_from(number).expect("few") * STEP;
    let at = Timestamp::from_millisecond(start().as_millisecond() + step).expect("in range");
    let recipient = PhoneNumber::parse(&format!("+25471234567{}", number % 7)).expect("a number");
    let mut tags = vec![tag(if number.is_multiple_of(2) { "even" } else { "odd" })];
    if number.is_multiple_of(5) {
        tags.push(tag("fifth"));
    }
    let message = NewMessage {
        id: id_at(at, number),
        channel: if number.is_multiple_of(3) { second } else { f.tenant.channel.id },
        recipient: Some((ContactId::of_number(f.tenant.workspace, recipient.e164()), recipient)),
        reference: if number.is_multiple_of(4) { String::new() } else { format!("order-{}", number % 5) },
        tags,
        batch: number.is_multiple_of(6).then_some(batch),
        scheduled_for: match number % 12 {
            3 => Some(later(f.store.now(), 3600)),
            4 => Some(later(f.store.now(), -3600)),
            _ => None,
        },
        ..message_of(&f.tenant, at)
    };
    if number == 12 { keyed(NewMessage { reference: "order-2".to_owned(), ..message }, "key-12") } else { message }
}

fn filters(f: &Fixture, second: ChannelId, batch: Uuid) -> Vec<(&'static str, Filter)> {
    let none = Filter::default;
    let contact = |number: &str| Some(ContactId::of_number(f.tenant.workspace, number));
    let at = |number: i64| {
        Some(first_id_at(Timestamp::from_millisecond(start().as_millisecond() + number * STEP).expect("in range")))
    };
    let mut filters = vec![
        ("nothing", none()),
        ("channel", Filter { channel: Some(f.tenant.channel.id), ..none() }),
        ("second channel", Filter { channel: Some(second), ..none() }),
        ("contact", Filter { contact: contact("+254712345673"), ..none() }),
        ("unknown contact", Filter { contact: contact("+254712345699"), ..none() }),
        ("batch", Filter { batch: Some(batch), ..none() }),
        ("reference", Filter { reference: Some("order-3".to_owned()), ..none() }),
        ("key", Filter { key: Some(MessageKey::new("key-12").expect("a key")), ..none() }),
        ("one tag", Filter { tags: vec![tag("even")], ..none() }),
        ("two tags", Filter { tags: vec![tag("fifth"), tag("odd")], ..none() }),
        ("incoming", Filter { direction: Some(Direction::Incoming), ..none() }),
        ("outgoing", Filter { direction: Some(Direction::Outgoing), ..none() }),
        ("from", Filter { above: at(30), ..none() }),
        ("until", Filter { below: at(60), ..none() }),
        ("window", Filter { above: at(40), below: at(50), ..none() }),
        ("empty window", Filter { above: at(40), below: at(40), ..none() }),
        ("unknown", Filter { is_unknown: true, ..none() }),
        ("three statuses", Filter { statuses: vec![Status::Sent, Status::Processing, Status::Deleted], ..none() }),
    ];
    for status in Status::ALL {
        filters.push((status.as_str(), Filter { statuses: vec![status], ..none() }));
    }
    filters
}

/// The filter that asks for what either asks for; where both ask for one thing, the second wins.
fn and(one: &Filter, other: &Filter) -> Filter {
    let lists = |a: &[Status], b: &[Status]| if b.is_empty() { a.to_vec() } else { b.to_vec() };
    Filter {
        channel: other.channel.or(one.channel),
        contact: other.contact.or(one.contact),
        batch: other.batch.or(one.batch),
        reference: other.reference.clone().or(one.reference.clone()),
        key: other.key.clone().or(one.key.clone()),
        tags: if other.tags.is_empty() { one.tags.clone() } else { other.tags.clone() },
        direction: other.direction.or(one.direction),
        statuses: lists(&one.statuses, &other.statuses),
        above: other.above.or(one.above),
        below: other.below.or(one.below),
        is_unknown: one.is_unknown || other.is_unknown,
    }
}

/// Whether a message, as it is shown, is one that a filter asks for.
fn fits(message: &Message, filter: &Filter) -> bool {
    let contact = message.recipient.as_ref().map(|(contact, _)| *contact);
    let has = |tag: &Tag| message.tags.iter().any(|own| own == tag.as_str());
    let is_keyed = message.id == id_at(message.created_at, 12);
    filter.channel.is_none_or(|channel| message.channel == channel)
        && (filter.contact.is_none() || contact == filter.contact)
        && (filter.batch.is_none() || message.batch == filter.batch)
        && filter.reference.as_ref().is_none_or(|reference| message.reference == *reference)
        && (filter.key.is_none() || is_keyed)
        && filter.tags.iter().all(has)
        && filter.direction.is_none_or(|direction| message.direction == direction)
        && (filter.statuses.is_empty() || filter.statuses.contains(&message.status))
        && filter.above.is_none_or(|above| message.id > above)
        && filter.below.is_none_or(|below| message.id < below)
        && (!filter.is_unknown || message.is_unknown())
}

/// All messages of a list, page by page.
async fn walk(f: &Fixture, filter: &Filter, order: Order, limit: i64, rounds: &[i64]) -> Vec<Message> {
    let (mut walked, mut beyond) = (Vec::new(), None);
    for _ in 0..PAGES_MAX {
        let page = f.store.list_messages(f.tenant.workspace, filter, order, beyond, limit, rounds).await.expect("read");
        assert!(page.messages.len() <= usize::try_from(limit).expect("few"));
        walked.extend(page.messages);
        if page.next.is_none() {
            return walked;
        }
        assert_ne!(page.next, beyond, "the list stands still");
        beyond = page.next;
    }
    panic!("the list does not end");
}

fn ids(messages: &[Message]) -> Vec<MessageId> {
    messages.iter().map(|message| message.id).collect()
}

fn tag(text: &str) -> Tag {
    Tag::new(text).expect("a tag")
}

fn start() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().expect("an instant")
}

/// The id of a message accepted at an instant.
fn id_at(at: Timestamp, number: usize) -> MessageId {
    let milliseconds = u64::try_from(at.as_millisecond()).expect("after 1970");
    let mut random = [0; 10];
    random[9] = u8::try_from(number).expect("few");
    MessageId(uuid::Builder::from_unix_timestamp_millis(milliseconds, &random).into_uuid())
}
