"""Advertisements, chat and payments."""

from __future__ import annotations

import uuid
from threading import Barrier, Thread

from bson import ObjectId
from neighbours.models import Advertisement, ChatMessage, Conversation, Transaction
from neighbours.views.payments import charged

from tests.cases import NeighboursTestCase, text_of, value_in


class Advertisements(NeighboursTestCase):
    def test_are_published_at_once(self) -> None:
        _, browser = self.neighbour("ada")
        form = {"title": "Bicycle", "category": "bicycles", "body": "Red.", "price": "180"}
        answer = browser.post("/advertisements/new", form, follow=True)
        assert "180.00 EUR" in text_of(answer)
        assert "Bicycle" in text_of(self.client.get("/"))

    def test_are_found_by_their_words(self) -> None:
        ada, _ = self.neighbour("ada")
        self.offer_of(ada)
        self.offer_of(ada, title="Chess set", category="games")
        text = text_of(self.client.get("/", {"words": "bicycle"}))
        assert "Bicycle" in text
        assert "Chess" not in text

    def test_are_removed_by_their_owner_only(self) -> None:
        ada, owner = self.neighbour("ada")
        _, stranger = self.neighbour("eve")
        offer = self.offer_of(ada)
        path = f"/advertisements/{offer.pk}"
        assert stranger.post(f"{path}/remove").status_code == 404
        assert Advertisement.objects.get().status == "active"
        assert owner.post(f"{path}/remove").status_code == 302
        assert self.client.get(path).status_code == 404

    def test_markup_in_them_is_shown_as_text(self) -> None:
        ada, _ = self.neighbour("ada")
        offer = self.offer_of(ada, title="<script>alert(1)</script>")
        assert "<script>" not in text_of(self.client.get(f"/advertisements/{offer.pk}"))

    def test_a_path_with_another_id_is_not_found(self) -> None:
        assert self.client.get(f"/advertisements/{ObjectId()}").status_code == 404
        assert self.client.get("/advertisements/$where").status_code == 404


class Chat(NeighboursTestCase):
    def test_goes_to_and_fro(self) -> None:
        _, hers = self.neighbour("ada")
        grace, his = self.neighbour("grace")
        path = hers.post(f"/chat/with/{grace.pk}").headers["Location"]
        hers.post(path, {"text": "Are there tomatoes?"})
        assert "1 unread" in text_of(his.get("/chat"))
        assert "Are there tomatoes?" in text_of(his.get(path))
        assert "0 unread" in text_of(his.get("/chat"))

    def test_two_neighbours_have_one_conversation(self) -> None:
        ada, hers = self.neighbour("ada")
        grace, his = self.neighbour("grace")
        hers.post(f"/chat/with/{grace.pk}")
        his.post(f"/chat/with/{ada.pk}")
        assert Conversation.objects.count() == 1

    def test_a_stranger_neither_reads_nor_writes(self) -> None:
        ada, _ = self.neighbour("ada")
        grace, _ = self.neighbour("grace")
        _, stranger = self.neighbour("eve")
        path = f"/chat/{Conversation.between(ada, grace).pk}"
        assert stranger.get(path).status_code == 404
        assert stranger.post(path, {"text": "hello"}).status_code == 404
        assert ChatMessage.objects.count() == 0


class Payments(NeighboursTestCase):
    def test_a_form_that_is_sent_twice_pays_once(self) -> None:
        ada, _ = self.neighbour("ada")
        grace, browser = self.neighbour("grace")
        path = f"/advertisements/{self.offer_of(ada).pk}/pay"
        key = value_in(text_of(browser.get(path)), "idempotency_key")
        for _ in range(2):
            answer = browser.post(path, {"idempotency_key": key}, follow=True)
            assert "Paid: 180.00 EUR." in text_of(answer)
        (payment,) = Transaction.of(grace)
        assert payment.status == "captured"

    def test_a_form_that_is_sent_many_times_at_once_pays_once(self) -> None:
        ada, _ = self.neighbour("ada")
        grace, _ = self.neighbour("grace")
        offer, key, paid = self.offer_of(ada), str(uuid.uuid4()), []
        begin = Barrier(8)

        def press() -> None:
            begin.wait(10)
            paid.append(charged(grace, offer, key).pk)

        threads = [Thread(target=press) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        (payment,) = Transaction.of(grace)
        assert paid == [payment.pk] * 8
        assert payment.status == "captured"

    def test_a_new_form_pays_again(self) -> None:
        ada, _ = self.neighbour("ada")
        grace, browser = self.neighbour("grace")
        path = f"/advertisements/{self.offer_of(ada).pk}/pay"
        for _ in range(2):
            browser.post(path, {"idempotency_key": str(uuid.uuid4())})
        assert Transaction.of(grace).count() == 2

    def test_one_sees_ones_own_payments(self) -> None:
        ada, _ = self.neighbour("ada")
        grace, _ = self.neighbour("grace")
        _, stranger = self.neighbour("eve")
        charged(grace, self.offer_of(ada), "a key")
        assert "Bicycle" not in text_of(stranger.get("/payments"))
