"""Take tweets through the models of both databases and ask five questions.

    python examples/tweets.py [TWEETS]

Whoever writes or is written to becomes a `User` with a `Profile`; a tweet becomes a `ChatMessage`
and an `AnalyticsEvent`. Ids come from the tweets, so a second run adds nothing.
"""

import json
import os
import sys
from collections import Counter
from collections.abc import Iterable
from itertools import islice

from tweet_source import Tweet, default_archive, read

from datalayer import db
from datalayer.documents import Document
from datalayer.models import AnalyticsEvent, ChatMessage, Conversation, Preferences, Profile, User
from datalayer.progress import progress


def store(model: type[Document], documents: Iterable[Document]) -> None:
    """Insert the documents that are not there yet, each validated first."""
    fresh = {each.pk: each for each in documents}
    for pk in model.objects(pk__in=list(fresh)).scalar("pk"):
        del fresh[pk]
    for each in fresh.values():
        each.validate()
    if fresh:
        model.objects.insert(list(fresh.values()), load_bulk=False)


def message(tweet: Tweet) -> ChatMessage:
    who = {"conversation": tweet.chat, "sender": tweet.author.key}
    return ChatMessage(pk=tweet.key, text=tweet.text, sent_at=tweet.sent_at, **who)


def event(tweet: Tweet) -> AnalyticsEvent:
    facts = {"user_id": tweet.author.key, "properties": {"language": tweet.author.language}}
    return AnalyticsEvent(pk=tweet.key, name="tweet.sent", occurred_at=tweet.sent_at, **facts)


def user(person):
    return User(pk=person.key, email=f"{person.handle}@twitter.example")


def profile(one):
    likes = Preferences(language=one.language, time_zone=one.time_zone)
    facts = {"user": one.key, "display_name": one.shown, "about": one.about}
    return Profile(pk=one.key, preferences=likes, **facts)


def conversation(tweet):
    facts = {"pair_key": "{}:{}".format(*tweet.pair), "last_message_at": tweet.sent_at}
    return Conversation(pk=tweet.chat, participants=tweet.pair, **facts)


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


def best(model, by, name=str):
    """The three most frequent values of `by`, counted by the server."""
    counted = Counter()
    for each in model.objects.aggregate([{"$group": {"_id": by, "count": {"$sum": 1}}}]):
        counted[name(each["_id"])] += each["count"]
    return sorted(counted.items(), key=lambda pair: (-pair[1], pair[0]))[:3]


def answers():
    """What one database counts, the other one gives the names for."""
    handles = {one.pk: one.email.split("@")[0] for one in User.objects.only("email")}
    zones = {one.pk: one.preferences.time_zone for one in Profile.objects.only("preferences")}
    chats = {
        one.pk: " and ".join(sorted(map(handles.get, one.participant_ids())))
        for one in Conversation.objects.no_dereference()
    }
    hour = {"$hour": "$occurred_at"}
    return {
        "Who writes most?": best(AnalyticsEvent, "$user_id", handles.get),
        "At what hour of the day (UTC)?": best(AnalyticsEvent, hour, "{:02}:00".format),
        "In which languages?": best(AnalyticsEvent, "$properties.language"),
        "In which time zones do the authors live?": best(AnalyticsEvent, "$user_id", zones.get),
        "Which conversations are the longest?": best(ChatMessage, "$conversation", chats.get),
    }


if __name__ == "__main__":
    limit = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    source, tweets = read(default_archive(), limit)
    os.environ.setdefault("MONGODB_URI", "embedded://tweets")  # a private server, unless you say
    with db.connected():
        load(tweets, limit)
        report = {"source": source, "texts": len(ChatMessage.objects.distinct("text"))}
        print(json.dumps({**report, "answers": answers()}, indent=2))
