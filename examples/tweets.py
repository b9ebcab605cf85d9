"""Take tweets through the models of both databases and ask five questions.

    python examples/tweets.py --limit 20000 [--json] [--uri mongodb://HOST/NAME]

Whoever writes or is written to becomes a `User` with a `Profile`; a tweet becomes a `ChatMessage`
in the `Conversation` of the two, and an `AnalyticsEvent` in the other database. Ids are derived
from the tweets, so a second run over the same tweets adds nothing.
"""

import argparse
import json
from collections import Counter
from itertools import islice
from pathlib import Path

from tweet_source import default_archive, read

from datalayer import Settings, db
from datalayer.models import AnalyticsEvent, ChatMessage, Conversation, Preferences, Profile, User
from datalayer.progress import progress


def store(model, documents):
    """Insert the documents that are not there yet, each validated first."""
    fresh = {each.pk: each for each in (model(**facts) for facts in documents)}
    for pk in model.objects(pk__in=list(fresh)).scalar("pk"):
        del fresh[pk]
    for each in fresh.values():
        each.validate()
    if fresh:
        model.objects.insert(list(fresh.values()), load_bulk=False)


def message(tweet):
    who = {"conversation": tweet.chat, "sender": tweet.author.key}
    return {"pk": tweet.key, "text": tweet.text, "sent_at": tweet.sent_at, **who}


def event(tweet):
    facts = {"user_id": tweet.author.key, "properties": {"language": tweet.author.language}}
    return {"pk": tweet.key, "name": "tweet.sent", "occurred_at": tweet.sent_at, **facts}


def user(person):
    return {"pk": person.key, "email": f"{person.handle}@twitter.example"}


def profile(person):
    likes = Preferences(language=person.language, time_zone=person.time_zone)
    facts = {"about": person.about, "preferences": likes}
    return {"pk": person.key, "user": person.key, "display_name": person.shown, **facts}


def conversation(tweet):
    facts = {"pair_key": "{}:{}".format(*tweet.pair), "last_message_at": tweet.sent_at}
    return {"pk": tweet.chat, "participants": tweet.pair, **facts}


def load(tweets, total):
    people, latest = {}, {}
    with progress("tweets", total) as advance:
        while batch := list(islice(tweets, 1000)):
            store(ChatMessage, map(message, batch))
            store(AnalyticsEvent, map(event, batch))
            for tweet in batch:
                for one in (tweet.to, tweet.author):
                    people[one.key] = one.joined(people.get(one.key))
                known = latest.get(tweet.chat, tweet)
                latest[tweet.chat] = max(known, tweet, key=lambda each: each.sent_at)
            advance(len(batch))
    store(User, map(user, people.values()))
    store(Profile, map(profile, people.values()))
    store(Conversation, map(conversation, latest.values()))


def tally(model, by):
    """How many documents there are for each value of `by`, counted by the server."""
    stages = [{"$group": {"_id": by, "count": {"$sum": 1}}}]
    return {each["_id"]: each["count"] for each in model.objects.aggregate(stages)}


def best(counts, name=str):
    """The three largest, in the order of their names where they are equal."""
    named = Counter()
    for key, count in counts.items():
        named[name(key)] += count
    return sorted(named.items(), key=lambda pair: (-pair[1], pair[0]))[:3]


def answers():
    """Five questions. What one database counts, the other one gives the names for."""
    handles = {one.pk: one.email.split("@")[0] for one in User.objects.only("email")}
    zones = {one.pk: one.preferences.time_zone for one in Profile.objects.only("preferences")}
    chats = {
        one.pk: " and ".join(sorted(handles[each] for each in one.participant_ids()))
        for one in Conversation.objects.no_dereference()
    }
    authors, hour = tally(AnalyticsEvent, "$user_id"), {"$hour": "$occurred_at"}
    return {
        "Who writes most?": best(authors, handles.get),
        "At what hour of the day (UTC)?": best(tally(AnalyticsEvent, hour), "{:02}:00".format),
        "In which languages?": best(tally(AnalyticsEvent, "$properties.language")),
        "In which time zones do the authors live?": best(authors, zones.get),
        "Which conversations are the longest?": best(
            tally(ChatMessage, "$conversation"), chats.get
        ),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=default_archive(), help="parallel.tgz")
    parser.add_argument("--limit", type=int, default=20_000, metavar="TWEETS")
    parser.add_argument("--uri", default="embedded://tweets", help="default: a private server")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--database1-uri", help="default: `database1` on the same server")
    options = parser.parse_args()
    source, tweets = read(options.data, options.limit)
    uris = {"mongodb_uri": options.uri, "database1_uri": options.database1_uri}
    with db.connected(Settings.from_env({}, **uris)):
        load(tweets, options.limit)
        models = (User, Profile, Conversation, ChatMessage, AnalyticsEvent)
        stored = {model.__name__: model.objects.count() for model in models}
        texts = len(ChatMessage.objects.distinct("text"))
        report = {"source": source, "texts": texts, "stored": stored, "answers": answers()}
    if options.json:
        print(json.dumps(report, indent=2))
        return
    print(f"{source} ({texts:,} different)\n{stored}")
    for question, found in report["answers"].items():
        print(f"\n{question}", *(f"{count:>10,}  {name}" for name, count in found), sep="\n")


if __name__ == "__main__":
    main()
