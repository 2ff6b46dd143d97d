"""Passages that speak to a model instead of to a reader, told by rules over the text as it looks.

Text about the world gives a language model no orders, names no chat roles and calls no tools. The
rules know the forms of such orders, not their meaning: an order in words that a letter to a person
could hold too is not seen. They spare readers bad answers; what keeps data in is the wall of
``answer.exits``, which asks nobody what was meant.
"""

import base64
import binascii
import re
import unicodedata
from typing import Final

from ragplatform.privacy.visible import folded, visible

KEYWORD: Final = "gives_orders"
"""What a passage is flagged with, and why a document is put aside."""

_GAP: Final = r"[\s\"'`*_,.:;()-]+"
_TOLD: Final = (
    r"(?:instructions?|prompts?|directions?|directives?|commands?|guidelines?|rules?|"
    r"context|conversation|constraints?|programming)"
)
_EARLIER: Final = (
    r"(?:previous|prior|preceding|above|earlier|foregoing|following|original|initial|former|past|"
    r"system)"
)
_MINE: Final = r"(?:response|answer|reply|output|message|replies|answers|responses|completion)"
_MACHINE: Final = (
    r"(?:a\.?i\.?|llm|language model|chat ?bot|chatgpt|gpt(?:-\d)?|assistant|copilot|"
    r"ai (?:model|system|agent|assistant))"
)
# Letters ask to "provide your response by Friday" and to "include the number in your reply": only
# what is done to the words of an answer is an order to whoever writes it.
_SHAPE: Final = (
    r"(?:modify|augment|enhance|alter|adjust|rewrite|preface|prefix|scramble|jumble|translate|"
    r"encode|render|misspell|group|replace|rearrange)"
)
_OBJECT: Final = (
    r"(?:sentences?|statement|tip|reminder|headline|paragraph|words?|letters?|vowels?|symbols?|"
    r"typos?|anagrams?|spaces?|reason for|emojis?|www\.|https?:|[\"“'‘])"
)
_PUT: Final = (
    r"(?:add|include|integrate|insert|embed|append|introduce|incorporate|use|put|place|mention|"
    r"substitute|combine|remove|convert|anagram|misspell|replace|rearrange|group)"
)
_SAY: Final = (
    r"(?:suggest|tease|recommend|include|mention|use|say|ask|add|always|never|invite|promote|only|"
    r"do not|don't|tell|advise|warn|hint|link|provide|translate|write)"
)
_SHOW: Final = (
    r"(?:reveal|print|show|repeat|output|display|disclose|leak|recite|write out|tell me|give me|"
    r"return|echo|copy|encode)"
)

# Each rule with the words of which a text must hold one for the rule to hold: looking for those
# costs next to nothing, and most passages hold few. In Latin letters without accents, small.
_RULES: Final = tuple(
    (needs.split("|"), re.compile(form, re.MULTILINE))
    for needs, form in (
        # Take back what the model was told.
        (
            "ignor|disregard|forget|overrid|bypass|skip|neglect|drop",
            rf"\b(?:ignor\w*|disregard\w*|forget|overrid\w+|bypass\w*|skip|neglect|drop){_GAP}"
            rf"(?:(?:all|any|every|each|of|the|these|those|your|my|our|and|or|{_EARLIER}){_GAP})"
            rf"{{0,7}}(?<=\W)(?:{_EARLIER}|your|these|those|all(?: the)?){_GAP}"
            rf"(?:\w+{_GAP}){{0,3}}?{_TOLD}\b",
        ),
        (
            "ignor|disregard|forget",
            rf"\b(?:ignor\w*|disregard\w*|forget){_GAP}(?:all|any|the|your){_GAP}(?:\w+{_GAP})?"
            rf"{_TOLD}{_GAP}(?:you|above|before|so far|given|that (?:you|were|came)|which)"
            rf"|\b(?:forget|ignore|disregard){_GAP}(?:everything|anything|all|what){_GAP}"
            rf"(?:that{_GAP})?(?:you|i|was|is|has been|above|before|said|written)\b",
        ),
        (
            "prompt|instruction|context|document",
            r"\b(?:new|updated|real|actual|revised|secret) (?:system )?(?:instructions?|prompt)\s?:"
            r"|\bend of (?:the )?(?:system prompt|instructions|prompt|context|document)\b.{0,40}"
            r"\b(?:now|new|begin)",
        ),
        # Become somebody else.
        ("from now on", r"\bfrom now on\W+(?:you|respond|answer|always|your)\b"),
        (
            "you",
            r"\byou(?: are|'re| will| must| should| shall)"
            r"(?: now| going to| about to| to| be| also| always| have to)*"
            rf"{_GAP}(?:(?:act|behave|respond|answer|pose|roleplay|pretend|speak|immerse)\b.{{0,40}}"
            rf"\b(?:as|like|with|to be|into?)\b|be{_GAP}(?:an? )?{_MACHINE}\b)"
            rf"|\byou are (?:now |currently )?(?:an? |the |my )?(?:\w+ ){{0,3}}?{_MACHINE}\b"
            rf"|\bif you(?: are|'re) (?:an? |the )?(?:\w+ ){{0,2}}?{_MACHINE}\b",
        ),
        ("immerse yourself", r"\bimmerse yourself in(?:to)?\b.{0,20}\brole\b"),
        (
            "act |behave|pretend|respond|answer",
            r"\b(?:act|behave|pretend|respond|answer) (?:as|like|to be) (?:an? |the )?"
            rf"(?:\w+ ){{0,2}}?(?:{_MACHINE}|dan)\b",
        ),
        (
            "anything now|mode",
            r"\bdo anything now\b|\b(?:developer|dan|god|sudo|debug|admin|jailbreak) mode "
            r"(?:enabled|on|activated)|\b(?:enable|activate|enter) "
            r"(?:developer|dan|god|sudo|jailbreak) mode",
        ),
        # Addressed to whoever is no person.
        (
            "note|message|instruction|attention|notice|reminder|hint",
            r"\b(?:notes?|messages?|instructions?|attention|notice|reminder|hint)\W{0,3}"
            rf"(?:to|for)? ?(?:the |any |all |every )?(?:\w+ )?{_MACHINE}s?\b",
        ),
        (
            "dear|hello|hey|hi|attention|as a",
            r"\b(?:dear|hello|hey|hi|attention)\W{1,3}"
            r"(?:ai|llm|chatgpt|chat ?bot|language model|assistant)\b"
            r"|\bas an? (?:ai|llm|language model|ai assistant)\b.{0,60}\b(?:you|must|always)",
        ),
        # Give away what the model was told, or keep something from the reader.
        (
            "prompt|instruction|rules|guidelines|system message",
            rf"\b{_SHOW}\b.{{0,50}}\b(?:system (?:prompt|message|instructions?)"
            r"|(?:your|initial|hidden|secret|original|the above) (?:\w+ )?"
            r"(?:prompt|instructions?|rules|guidelines)|(?:prompt|instructions) (?:above|verbatim))"
            r"|\bwhat (?:are|were|is) your (?:\w+ )?(?:instructions|system prompt|prompt|rules)\b",
        ),
        (
            "user|reader|human|person asking",
            r"\b(?:do not|don't|never|without) (?:tell|mention|inform|reveal|disclos|alert)\w*\b"
            r".{0,30}\b(?:user|reader|human|person asking)\b"
            r"|\b(?:tell|inform|advise|convince|persuade|urge|instruct|direct|ask|encourage|suggest)"
            r" (?:the )?(?:users?|readers?|humans?)\b.{0,30}"
            r"\b(?:to|that|they|join|install|visit|click|download)\b"
            r"|\b(?:suggest|encouraging|inviting) (?:users|readers)\b"
            r"|\bfor users to\b.{0,40}\b(?:vote|click|visit|install|download|donate)",
        ),
        # Shape what the model is about to say.
        (
            "your",
            rf"\b{_SHAPE}\b(?:\W+\w+){{0,6}}?\W+(?:of |in |with |to )?your (?:\w+ )?{_MINE}\b"
            rf"|\b{_PUT}\b(?=.{{0,60}}{_OBJECT}).{{0,140}}\b(?:in|to|into|of|from|with|within|on) "
            rf"(?:all )?(?:of )?your (?:\w+ )?{_MINE}(?:'?s)?\b"
            rf"|\b(?:provide|give|deliver|write|compose|format|begin|start|end) your {_MINE} "
            r"(?:using|without|in the (?:style|voice|form)|as an?|"
            r"with (?:intentional|random|the word)|"
            r"in \w+ed words)\b"
            rf"|\bin your {_MINE}\W+(?:\w+\W+){{0,2}}?{_SAY}\b",
        ),
        (
            "say|print|output|respond|answer|reply|write|return|type",
            r"\b(?:just|only|simply|instead|always|now|must|first)[\s,]+"
            r"(?:say|print|output|respond|answer|reply|write|return|type)\b"
            r"(?: with| only| exactly)*\W*[\"'“‘«:]",
        ),
        (
            "stop everything|this prompt|sanitize",
            r"\bstop everything\b|\bthis prompt has been\b|\bsanitize your inputs\b",
        ),
        # The machinery of chats, agents and pages.
        (
            "<|[inst|[/inst",
            r"<\|[a-z_]{2,30}\|>|\[/?inst\]|<</?sys>>|</?(?:system|assistant|tool_call|"
            r"tool_response|function_calls?|invoke|instructions?|prompt)\b[^>]{0,80}>"
            r"|<(?:img|iframe|script|object|embed|form|link|meta|svg|a)\b[^>]{0,300}"
            r"(?:src|href|action|on\w+|url)\s?=|<script\b",
        ),
        (
            "##|begin|end",
            r"^\W{0,3}#{2,}\s?(?:system|instructions?|assistant|response|new task)\b"
            r"|\b(?:begin|end)(?:ning)? (?:of )?(?:system|admin|developer|user) "
            r"(?:prompt|message|instructions?)",
        ),
        (
            "tool|function|role|name",
            r"[\"'](?:tool_calls?|function_call|tool_use|tool_name)[\"']\s*:"
            r"|[\"']role[\"']\s*:\s*[\"'](?:system|assistant|tool|developer)"
            r"|[\"']name[\"']\s*:\s*[\"'][\w.-]+[\"']\s*,\s*[\"'](?:arguments|parameters|input)[\"']",
        ),
        (
            "system|assistant|developer|human|user|ai",
            r"^(?:assistant|developer|human|user|ai)\s?:\s?"
            r"(?:ok|sure|yes|i |you |please|ignore|from now|certainly)"
            r"|^system\s?:\s?(?:you |ignore|new |override|from now|the (?:user|assistant)|please|"
            r"do |always|never|disregard)",
        ),
        (
            "![|javascript:|http|www.",
            r"!\[[^\]\n]{0,100}\]\(\s?(?:https?:|//|data:)|javascript:\S"
            r"|\b(?:send|post|submit|forward|upload|exfiltrate|transmit|append|attach|leak)\b.{0,80}"
            r"\bto\b.{0,20}(?:https?://|www\.)"
            r"|https?://\S{0,200}(?:\{\{?[\w .]{2,30}\}?\}|\[(?:data|secret|answer|summary|context|"
            r"history|name|base64)\w*\]|<(?:data|secret|answer|context)>)",
        ),
        # To take back what was told, in other languages of Latin letters.
        (
            "ignorier|vergiss|vergessen sie|missacht",
            r"\b(?:ignorier\w*|vergiss|vergessen sie|missacht\w*)\b.{0,40}"
            r"\b(?:anweisung|instruktion|befehl|vorgabe|regel|aufforderung)\w*",
        ),
        (
            "ignore|oublie|tiens pas compte|neglige",
            r"\b(?:ignore[rz]?|oublie[rz]?|ne tiens pas compte|neglige[rz]?)\b.{0,40}"
            r"\b(?:instructions|consignes|directives|regles)\b",
        ),
        (
            "ignor|olvid|descart|desconsid|esque|dimentic|trascura",
            r"\b(?:ignor[ae]\w*|olvid[ae]\w*|descart[ae]\w*|desconsider[ae]\w*|esquec[ae]\w*|"
            r"dimentica\w*|trascura)\b.{0,40}\b(?:instrucci\w+|indicaci\w+|ordenes|instruco\w+|"
            r"istruzioni|regras|reglas|regole)\b",
        ),
        (
            "negeer|vergeet",
            r"\b(?:negeer|vergeet)\b.{0,40}\b(?:instructies|opdrachten|aanwijzingen|regels)\b",
        ),
        (
            "zignoruj|pomin|zapomnij",
            r"\b(?:zignoruj|pomin|zapomnij)\b.{0,40}\b(?:instrukcj\w+|polecen\w+|zasad\w*)",
        ),
        (
            "talimat|yonerge|komut",
            r"\b(?:talimat|yonerge|komut)\w*\b.{0,30}\b(?:yok say|unut|gormezden gel|dikkate alma)",
        ),
        (
            "ignorera|glom|abaikan|bo qua",
            r"\b(?:ignorera|glom)\b.{0,40}\b(?:instruktioner|anvisningar)\b"
            r"|\babaikan\b.{0,30}\binstruksi\b|\bbo qua\b.{0,30}\b(?:huong dan|chi dan|lenh)\b",
        ),
    )
)
_OTHER_LETTERS: Final = re.compile(
    r"(?:忽略|无视|無視|忘记|忘記|忽視|不要理会|不用管).{0,12}"
    r"(?:指令|指示|说明|說明|提示|规则|規則|命令|要求)"
    r"|(?:从现在开始|從現在開始|从现在起).{0,6}你"
    r"|(?:告诉|显示|输出|重复).{0,10}(?:系统提示|系統提示|提示词)"
    r"|(?:指示|命令|プロンプト|ルール).{0,8}(?:無視|忘れ)|今からあなたは|システムプロンプト"
    r"|(?:지시|명령|프롬프트|지침).{0,10}(?:무시|잊)|시스템 프롬프트"
    r"|(?:игнорир\w+|забуд\w+|отбрось\w*|не обращай\w*)\W.{0,40}"
    r"(?:инструкци|указани|команд|правил|промпт)\w*"
    r"|(?:с этого момента|отныне)\W{1,3}(?:ты|вы)\b|системн\w+ (?:промпт|подсказк)\w*"
    r"|(?:ігнору\w+|забуд\w+)\W.{0,40}(?:інструкці|вказівк)\w*"
    r"|(?:تجاهل|انس|تجاهلوا).{0,30}(?:التعليمات|الأوامر|تعليمات|القواعد)"
    r"|(?:התעלם|שכח|תתעלם).{0,30}(?:הוראות|ההוראות|הנחיות)"
    r"|(?:निर्देश|आदेश).{0,30}(?:अनदेखा|नज़रअंदाज़|भूल)|(?:αγνόησ\w+|ξέχασε).{0,30}(?:οδηγίες|εντολές)"
    r"|(?:ละเว้น|เพิกเฉย|ลืม).{0,30}(?:คำสั่ง|คำแนะนำ)"
)
# Words that nobody sees: tags spell ASCII one for one, selectors any byte. The flag of a region is
# a black flag with tags behind it.
_SMUGGLED: Final = re.compile(
    "(?<![\U0001f3f4\U000e0020-\U000e007e])[\U000e0020-\U000e007e]{6,}"
    "|[\ufe00-\ufe0f\U000e0100-\U000e01ef]{6,}|(?:[\u200b-\u200d\u2060-\u2064\ufeff]{2,}.?){6,}"
)
_BASE64: Final = re.compile(r"(?<![\w+/=-])[A-Za-z0-9+/_-]{24,4000}={0,2}(?![\w+/=-])")
_SPACED: Final = re.compile(r"(?<!\w)(?:\w[ .*_-]){5,}\w(?!\w)")
_AS_LETTERS: Final = re.compile(r"[a-z][013457@$!|]+[a-z]")
_FIGURES: Final = str.maketrans("013457@$!|", "oieastasil")


def gives_orders(text: str) -> bool:
    """Return whether the text speaks to a model: orders, chat roles, calls of tools, hidden words.

    What is spelt with look-alikes, figures, blanks between letters or base64 is read as it looks.
    """
    if not text.isascii() and _SMUGGLED.search(text):
        return True
    return _orders(text) or any(map(_orders, _decoded(text)))


def _orders(text: str) -> bool:
    looks = folded(text)
    if any(_by_rules(view) for view in (looks, *_respelt(looks))):
        return True
    if text.isascii():
        return False
    # Folding takes other alphabets' letters for the Latin ones that they look like.
    return bool(_OTHER_LETTERS.search(unicodedata.normalize("NFC", visible(text)).casefold()))


def _by_rules(looks: str) -> bool:
    return any(
        any(need in looks for need in needs) and form.search(looks) for needs, form in _RULES
    )


def _respelt(looks: str) -> list[str]:
    """Return the text with figures as the letters they stand for, and spaced letters as words."""
    views = []
    if _AS_LETTERS.search(looks):
        views.append(looks.translate(_FIGURES))
    if _SPACED.search(looks):
        views.append(_SPACED.sub(lambda run: re.sub(r"(?<=\w)[ .*_-](?=\w)", "", run[0]), looks))
    return views


def _decoded(text: str) -> list[str]:
    """Return what runs of base64 in the text say, where they say anything."""
    found = []
    for run in _BASE64.findall(text):
        bare = run.rstrip("=").replace("-", "+").replace("_", "/")
        try:
            found.append(base64.b64decode(bare + "=" * (-len(bare) % 4)).decode())
        except (binascii.Error, UnicodeDecodeError):
            continue
    return found
