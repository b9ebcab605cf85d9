"""A Flask application."""

from flask import Flask, render_template
from flask.typing import ResponseReturnValue

from datalayer.contrib.flask import DataLayer, health_blueprint, needs_no_database
from datalayer.documents import BusinessDocument
from datalayer.fields import IntField, ListField, StringField


class Offer(BusinessDocument):
    title = StringField(required=True)
    price = IntField()
    tags = ListField(StringField())


app = Flask(__name__)
data = DataLayer(app)
app.register_blueprint(health_blueprint())


@app.get("/offers/<key>")
def show(key: str) -> ResponseReturnValue:
    offer = Offer.objects.get_or_404(pk=key)
    reveal_type(offer.title)  # is: str
    return render_template("offer.html", offer=offer)


@app.get("/offers")
def offers() -> ResponseReturnValue:
    page = Offer.objects(price__lt=100).order_by("-created_at").paginate(page=1, per_page=20)
    reveal_type(page.items)  # is: list[Offer]
    reveal_type(page.total)  # is: int
    return render_template("offers.html", page=page)


@app.get("/about")
@needs_no_database
def about() -> str:
    return "about"


@app.get("/wrong")
def wrong() -> str:
    offer = Offer.objects.get_or_404(titel="x", message="gone")  # error: has no field "titel"
    Offer.objects.one_or_404(price="x")  # error: incompatible type "str"; expected "int | None"
    return str(offer.prize)  # error: has no attribute "prize"; maybe "price"?
