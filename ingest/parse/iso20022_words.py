"""The abbreviations of ISO 20022 element names, spelled out.

Source: ISO 20022 XML tag abbreviations, those that occur in camt and pacs messages.
"""

import re
from typing import Final

_ABBREVIATIONS: Final = """
    Accptnc acceptance; Acct account; Acctn action; Actvtn activation; Addtl additional; Adr address
    Adj adjustment; Agt agent; Agts agents; Amt amount; Anlys analysis; Appl application
    Assgnr assigner; Assgne assignee; Avlbl available; Avlbty availability; Bal balance; Bk bank
    Bldg building; Bookg booking; Br branch; Btch batch; Cd code; Cdt credit; Cdtr creditor
    Chrg charge; Chrgs charges; Chqs cheques; Clr clearing; Clrg clearing; Cmpltn completion
    Conf confirmation; Cpy copy; Cre created; Cstmr customer; Ctct contact; Ctrl control
    Ctry country; Ccy currency; Dbt debit; Dbtr debtor; Dept department; Desc description
    Dstrct district; Dlvry delivery; Dplct duplicate; Doc document; Dt date; Dtl detail
    Dtls details; Dtd dated; Elctrnc electronic; Exctn execution; Fctn function; Fin financial
    Flr floor; Fmly family; Frm from; Fwd forward; Grp group; Hdr header; Hld held; Id id
    Ind indicator; Inf information; Initg initiating; Instd instructed; Instg instructing
    Instn institution; Instr instruction; Instrm instrument; Intr interest; Intrmy intermediary
    Invcr invoicer; Invcee invoicee; Itm item; Lcl local; Lctn location; Ldgr ledger; Lgl legal
    Lvl level; Mmb member; Mndt mandate; Msg message; Mtd method; Mtrty maturity; Nb number
    Nm name; Ntfctn notification; Ntry entry; Ntries entries; Orgnl original; Orgtr originator
    Othr other; Ownr owner; Pctg percentage; Pgntn pagination; Pg page; Pmt payment; Prd period
    Prcg processing; Prty priority; Prtry proprietary; Prxy proxy; Pstl postal; Pty party
    Pties parties; Purp purpose; Qty quantity; Rate rate; Rcpt recipient; Rcvg receiving
    Rcvd received; Ref reference; Refs references; Rgltry regulatory; Rjct reject; Rltd related
    Rmt remittance; Rmtd remitted; Rpt report; Rptg reporting; Rsn reason; Rtr return
    Rtrd returned; Rvsl reversal; Sbmsn submission; Schme scheme; Sgmt segment; Sndg sending
    Sndr sender; Seq sequence; Sq square; Ssn session; Stmt statement; Strd structured; Sts status
    Sttlm settlement; Strt street; Sub sub; Summry summary; Svc service; Svcr servicer; Sys system
    Tax tax; Tm time; Tp type; Tra transfer; Trf transfer; Trnsfr transfer; Ttl total; Twn town
    Tx transaction; Txs transactions; Ultmt ultimate; Undrlyg underlying; Unqtd unquoted
    Ustrd purpose; Val value; Vrfctn verification; Xchg exchange; Xpctd expected; Xpry expiry
    Brth birth; Ct city; Prvc province; Tel telephone; Mob mobile; Fx fax; Elct electronic
    Cntrct contract; Cntr counter; Ntwk network; Bic BIC; Bicfi BIC; Iban IBAN; Lei LEI; Fi FI
    """
_WORDS: Final = {
    short: word
    for pair in _ABBREVIATIONS.replace("\n", ";").split(";")
    if pair.strip()
    for short, word in [pair.split()]
}
_PARTS: Final = re.compile("[A-Z]+(?![a-z])|[A-Z][a-z]*|[a-z]+|[0-9]+")
_WHOLE: Final = {
    "BICFI": "BIC",
    "BkToCstmrAcctRpt": "Account report",
    "BkToCstmrDbtCdtNtfctn": "Debit and credit notification",
    "BkToCstmrStmt": "Account statement",
    "CdtDbtInd": "credit or debit",
    "CdtTrfTxInf": "Payment",
    "EndToEndId": "end-to-end id",
    "FIToFICstmrCdtTrf": "Customer credit transfer",
    "FIToFIPmtStsRpt": "Payment status report",
    "IBAN": "IBAN",
    "Ntry": "Booking",
    "PmtRtr": "Payment return",
    "TxDtls": "Transaction",
    "TxInf": "Return",
    "TxInfAndSts": "Transaction status",
    "UETR": "UETR",
}


def spelled(name: str) -> str:
    """Return ``InstdAmt`` as ``Instructed amount``; parts without an abbreviation as they are."""
    if name in _WHOLE:
        return _WHOLE[name]
    words = [_WORDS.get(part, part.lower()) for part in _PARTS.findall(name)]
    text = " ".join(words)
    return text[:1].upper() + text[1:]
