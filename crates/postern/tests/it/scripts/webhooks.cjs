// Verifies webhooks with the official library: prints, as one line of JSON, for each webhook the indexes of the secrets under which it verifies.
const { readFileSync } = require("node:fs");
const { Webhook } = require("standardwebhooks");

const { secrets, webhooks } = JSON.parse(readFileSync(process.argv[2], "utf8"));
const verifies = (secret, { headers, body }) => {
  try {
    new Webhook(secret).verify(body, headers);
    return true;
  } catch {
    return false;
  }
};
const indexes = [...secrets.keys()];
console.log(JSON.stringify(webhooks.map((webhook) => indexes.filter((index) => verifies(secrets[index], webhook)))));
