//! Messages that a bot receives at Discord and Telegram.

use http::{Method, StatusCode, header};
use serde_json::{Value, json};
use simulator::{BOT_TOKEN, NewMessage};

use crate::client::{Answer, Client, simulate, until};

async fn updates(client: &Client, token: &str, asked: Value) -> Answer {
    let path = format!("/telegram/bot{token}/getUpdates");
    client.json(Method::POST, &path, &[], &asked).await
}

fn ids(answer: &Answer) -> Vec<i64> {
    let answer = answer.json();
    let result = answer["result"].as_array().unwrap();
    result.iter().map(|it| it["update_id"].as_i64().unwrap()).collect()
}

async fn discord(client: &Client, path: &str) -> Answer {
    let bot = format!("Bot {BOT_TOKEN}");
    let headers = [
        (header::AUTHORIZATION, bot.as_str()),
        (header::USER_AGENT, "DiscordBot (test, 1)"),
    ];
    client.get(&format!("/discord/api/v10{path}"), &headers).await
}

#[tokio::test]
async fn updates_stay_until_a_later_one_is_asked_for() {
    simulate(async |client| {
        let posted: Vec<i64> = (0..3)
            .map(|_| client.handle.post_to_telegram(&NewMessage::default()))
            .collect();
        assert_eq!(
            ids(&updates(&client, BOT_TOKEN, json!({ "limit": 2 })).await),
            posted[..2]
        );
        assert_eq!(ids(&updates(&client, BOT_TOKEN, json!({})).await), posted);
        assert_eq!(
            ids(&updates(&client, BOT_TOKEN, json!({ "offset": posted[2] })).await),
            posted[2..]
        );
        assert_eq!(
            ids(&updates(&client, BOT_TOKEN, json!({})).await),
            posted[2..],
            "what was confirmed is gone"
        );
        let stranger = updates(&client, "7000000001:other", json!({})).await;
        assert_eq!(
            (stranger.status, &stranger.json()["ok"]),
            (StatusCode::UNAUTHORIZED, &json!(false))
        );
    })
    .await;
}

#[tokio::test]
async fn waiting_request_gets_the_next_update_or_a_conflict_from_the_next_request() {
    simulate(async |client| {
        let asked = || {
            client
                .handle
                .snapshot()
                .ledger
                .requests(simulator::Platform::Telegram, simulator::Route::Notifications)
        };
        let wait = json!({ "timeout": 25 });
        let next = async {
            until(|| asked() == 1).await;
            let second = updates(&client, BOT_TOKEN, wait.clone());
            let say = async {
                until(|| asked() == 2).await;
                client.handle.post_to_telegram(&NewMessage::default())
            };
            futures_util::future::join(second, say).await
        };
        let (first, (second, posted)) =
            futures_util::future::join(updates(&client, BOT_TOKEN, wait.clone()), next).await;
        assert_eq!(first.status, StatusCode::CONFLICT);
        assert_eq!(ids(&second), [posted]);
    })
    .await;
}

#[tokio::test]
async fn a_channel_names_its_last_message_and_lists_those_after_one_newest_first() {
    simulate(async |client| {
        let guilds = discord(&client, "/users/@me/guilds").await.json();
        let guild = guilds[0]["id"].as_str().unwrap();
        let posted: Vec<String> = (0..3)
            .map(|_| client.handle.post_to_discord(&NewMessage::default()).to_string())
            .collect();
        let channels = discord(&client, &format!("/guilds/{guild}/channels")).await.json();
        assert_eq!(channels[0]["last_message_id"], posted[2]);
        let path = format!("/channels/{}/messages", channels[0]["id"].as_str().unwrap());
        let listed = async |query: &str| {
            let messages = discord(&client, &format!("{path}?{query}")).await.json();
            let messages = messages.as_array().unwrap().iter();
            messages
                .map(|it| it["id"].as_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            listed(&format!("after={}", posted[0])).await,
            [&*posted[2], &*posted[1]]
        );
        assert_eq!(listed("limit=2").await, [&*posted[1], &*posted[0]]);
        assert_eq!(
            discord(&client, &format!("{path}?limit=101")).await.status,
            StatusCode::BAD_REQUEST
        );
        assert_eq!(
            discord(&client, "/channels/1/messages").await.status,
            StatusCode::NOT_FOUND
        );
        let stranger = [(header::USER_AGENT, "DiscordBot (test, 1)")];
        let refused = client.get("/discord/api/v10/users/@me/guilds", &stranger).await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    })
    .await;
}
