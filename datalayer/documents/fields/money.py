"""Amounts of money: decimal, never rounded silently, with the places that the currency has."""

from __future__ import annotations

from decimal import Context, Decimal, InvalidOperation

from mongoengine.errors import ValidationError

# ISO 4217, the currencies in use (without funds, metals and test codes).
_CODES = """
AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP
BYN BZD CAD CDF CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL
GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW
KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN
NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK
SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS
VED VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG
"""
CURRENCIES = frozenset(_CODES.split())
_OTHER_MINOR_UNITS = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
}
_MINOR_UNITS = {
    code: units for units, codes in _OTHER_MINOR_UNITS.items() for code in codes.split()
}
_DECIMAL128 = Context(prec=34)


def minor_units(currency: str) -> int:
    """The decimal places that amounts in ``currency`` have, by ISO 4217: 2 for EUR, 0 for JPY."""
    return _MINOR_UNITS.get(currency, 2)


def exact_amount(amount: Decimal, currency: str) -> Decimal:
    """``amount`` with exactly the places of ``currency``: 12.5 EUR becomes 12.50.

    Raises:
        ValidationError: when that would take rounding, or more than the 34 digits of
            ``Decimal128``.
    """
    places = minor_units(currency)
    try:
        exact = amount.quantize(Decimal(1).scaleb(-places), context=_DECIMAL128)
    except InvalidOperation:
        raise ValidationError("an amount of money has at most 34 digits") from None
    if exact != amount:
        raise ValidationError(f"an amount in {currency} has at most {places} decimal places")
    return exact


def not_an_amount(value: object) -> str:
    """Why ``value`` is no amount of money, without showing it."""
    if isinstance(value, str):
        if "," in value:
            return (
                "an amount of money is written with a point, as 12.50: a comma is not understood"
            )
        return "an amount of money is a number, written as 12.50: this text is none"
    if isinstance(value, float):
        return "an amount of money is a Decimal, an int or a string, never a float"
    return f"an amount of money is a Decimal, an int or a string, and no {type(value).__name__}"
