"""Word lists for the training texts: what a name may look like, and what looks like one and is none.

Written for this project. Drugs are international non-proprietary and common trade names, eponyms
are the field's textbook terms; companies are household names.
"""

from typing import Final


def _lines(text: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in text.replace("\n", "|").split("|") if item.strip())


COUNTRIES: Final = _lines(
    """USA|U.S.|US|UK|U.K.|United States|United States of America|Great Britain|England|Scotland|Wales|
    Northern Ireland|Holland|Russia|South Korea|North Korea|Iran|Syria|Vietnam|Czech Republic|Ivory Coast|
    UAE|Taiwan|Türkiye|Republic of Turkey|Federal Republic of Germany|Burma|Macedonia|Soviet Union"""
)
REGIONS: Final = _lines(
    """Bavaria|Catalonia|Tuscany|Normandy|Andalusia|Silesia|Lapland|Punjab|Kerala|Gujarat|Ontario|Quebec|
    British Columbia|New South Wales|Queensland|Yorkshire|Kent|Cornwall|the Midlands|Midwest|New England|
    the Bronx|Brooklyn|Manhattan|Queens|Harlem|Cook County|Orange County|Los Angeles County|Silicon Valley|
    West Bank|Gaza|Kashmir|Chechnya|Crimea|South America|Latin America|Southeast Asia|Middle East|Europe|
    Africa|Asia|Scandinavia|the Balkans|Lake Michigan|River Thames|Mount Sinai|Black Sea|Route 66"""
)
TOWN_FIRST: Final = tuple(
    f"{word} "
    for word in "North South East West New Port Lake Fort Saint San Santa Mount Old Upper Bad Great Little".split()
)
TOWN_LAST: Final = _lines(
    """Kevinville|Jamesburgh|Annachester|Marystad|Davidport|Laurahaven|Robertton|Lindaside|Michaelmouth|
    Ashford|Milltown|Riverton|Oakdale|Elmwood|Brookfield|Hilltop|Kingsbury|Wexford|Harlow|Dunmore|Fairview|
    Greenfield|Lakewood|Stanton|Bellevue|Westbrook|Clifton|Marlow|Thornbury|Haverhill"""
)
ODD_STREETS: Final = _lines(
    """{n} {name} Ave Apt {n}|P.O. Box {n}|PO Box {n}|{n} {name} St., Suite {n}|{n} {name} Street|{n} {name} Rd|
    {n} N {name} Blvd|Unit {n}, {n} {name} Lane|{n} {name} Cove|{n} {name} Underpass|{n} {name} Prairie|
    {n} {name} Track|{name} House, {n} {name} Road|{n}, {name} Nagar|Flat {n}, {name} Apartments|PSC {n}, Box {n}|
    {n}-{n} {name} Mews|{name}straße {n}|{name}gasse {n}|{n} rue {name}|Calle {name} {n}|Via {name} {n}|
    {n} State Route {n}|RR {n} Box {n}|{n} {city} Highway|Suite {n}|Apt. {n}|{name} {n}|USNS {name}\nFPO AP {n}"""
)
COMPANY_LAST: Final = _lines(
    """Inc|Inc.|LLC|Ltd|Ltd.|PLC|plc|Corp|Corp.|Corporation|Group|Holdings|GmbH|AG|S.A.|SpA|BV|AB|Oy|Partners|
    Technologies|Systems|Solutions|Labs|Software|Capital|Ventures|Industries|International|Co.|& Co|Media|Foods"""
)
ADJECTIVES: Final = _lines(
    """Global|National|United|First|Blue|Green|Red|Golden|Silver|Bright|Clear|Rapid|Smart|Prime|Summit|Pioneer|
    Liberty|Heritage|Pacific|Atlantic|Northern|Southern|Central|Universal|Dynamic|Open|Future|True|Next|Urban|
    Royal|Alpine|Delta|Omega|Apex|Quantum|Digital|Sunny|Wild|Iron"""
)
TRADES: Final = _lines(
    """Energy|Foods|Motors|Airlines|Logistics|Health|Insurance|Bank|Analytics|Software|Robotics|Steel|Paper|
    Pharma|Biotech|Networks|Telecom|Media|Decision Technologies|Weather|Mortgage|Realty|Builders|Electric|
    Water|Gas|Mining|Shipping|Books|Records|Studios|Games|Travel|Hotels|Coffee|Sports|Gardens|Education"""
)
INSTITUTIONS: Final = _lines(
    """University of {city}|{city} University|{name} University|{city} State University|{name} College|
    {city} High School|{city} Public Library|{city} Police Department|{city} City Council|Ministry of Finance|
    Department of Labor|{name} Foundation|{name} Institute|{name} Center|{name} & Sons|{name} Brothers|
    {name} Elementary School|Museum of {city}|{city} Chamber of Commerce|{name} Group|{city} FC|{city} Airport|
    National Institute of {name}|{city} Fire Department|Social Security Administration|{name} Memorial Library|
    {city} Municipal Court|Church of {name}|{name} Associates|{city} School District|{name} Clinic|{city} Times"""
)
HOSPITALS: Final = _lines(
    """{city} General Hospital|{city} Medical Center|St. {first}'s Hospital|St. {first} Medical Center|
    {name} Memorial Hospital|{city} Children's Hospital|{name} Clinic|{city} Regional Medical Center|
    University Hospital {city}|{city} VA|{city} Community Hospital|Mercy Hospital|Mount {name} Hospital|
    {name} Cancer Center|{city} Nursing Home|{name} Rehabilitation Center|Sacred Heart Hospital|{city} ER|
    {name} Family Practice|{city} Cardiology Associates|{name} Pharmacy|{city} Hospice|Good Samaritan Hospital"""
)
BANKS: Final = _lines(
    """Bank of {city}|First National Bank of {city}|{city} Savings Bank|{name} Bank|{city} Credit Union|
    {name} & Co. Private Bank|Wells Fargo|Chase|Bank of America|Citibank|HSBC|Barclays|Deutsche Bank|UBS|
    {name} Trust Company|{city} Federal Credit Union|Capital One|Santander|BNP Paribas|ING|{name} Mortgage"""
)
INSURERS: Final = _lines(
    """Aetna|Cigna|UnitedHealthcare|Blue Cross Blue Shield|Humana|Kaiser Permanente|Anthem|Medicare|Medicaid|
    BCBS|Tricare|Molina Healthcare|Allianz|AXA|MetLife|Prudential|State Farm|Oscar Health"""
)
COMPANIES: Final = _lines(
    """Google|Microsoft|Apple|Amazon|Facebook|IBM|Intel|Oracle|Netflix|Tesla|Uber|Airbnb|Twitter|LinkedIn|PayPal|
    Walmart|Target|Costco|Starbucks|McDonald's|Nike|Adidas|Toyota|Honda|Ford|General Motors|BMW|Volkswagen|
    Boeing|Airbus|Siemens|Samsung|Sony|Nokia|Pfizer|Merck|Novartis|Johnson & Johnson|Procter & Gamble|
    Coca-Cola|Pepsi|Nestlé|Unilever|Shell|BP|ExxonMobil|Chevron|Goldman Sachs|Morgan Stanley|JPMorgan|
    Visa|Mastercard|American Express|FedEx|UPS|DHL|Verizon|AT&T|Comcast|Disney|CNN|BBC|Reuters|NASA|FBI|CIA|
    NATO|UNESCO|WHO|FDA|CDC|NIH|IRS|SEC|Harvard|MIT|Stanford|Yale|Oxford|Cambridge|Red Cross|UNICEF|Greenpeace"""
)
COURTS: Final = _lines(
    """{city} District Court|{city} Regional Court|{city} Court of Appeal|Supreme Court of {country}|
    {city} Labour Court|{city} Administrative Court|High Court of {city}|{city} Criminal Court|{city} Assize Court|
    Municipal Court of {city}|{city} State Security Court|{city} Family Court|U.S. District Court"""
)
NATIONS: Final = _lines(
    """American|British|German|French|Italian|Spanish|Turkish|Polish|Russian|Ukrainian|Chinese|Japanese|Korean|
    Indian|Pakistani|Nigerian|Kenyan|Mexican|Brazilian|Canadian|Australian|Dutch|Swedish|Norwegian|Danish|
    Finnish|Greek|Cypriot|Romanian|Hungarian|Czech|Austrian|Swiss|Irish|Scottish|Iranian|Iraqi|Syrian|Israeli|
    Palestinian|Egyptian|Moroccan|Kurdish|Roma|Sami|Hispanic|Latino|Caucasian|African American|Asian|Arab|
    Jewish|Muslim|Christian|Catholic|Protestant|Hindu|Buddhist|Sikh|Orthodox|Jehovah's Witness|Republican|
    Democrat|Vietnamese|Filipino|Colombian|Peruvian|Cuban|Somali|Ethiopian|Bulgarian|Serbian|Croatian"""
)
JOBS: Final = _lines(
    """teacher|nurse|lawyer|accountant|engineer|software engineer|driver|truck driver|farmer|police officer|
    dentist|pharmacist|electrician|plumber|carpenter|chef|waiter|cashier|secretary|journalist|architect|
    professor|student|dancer|musician|pilot|sailor|soldier|mechanic|welder|miner|firefighter|librarian|
    Chief Executive Officer|Chief Financial Officer|Vice President|Director|President|General Counsel|
    Project Manager|Sales Manager|Branch Manager|Marketing Director|HR Manager|Data Scientist|Consultant|
    Systems administrator|Publicist|Analyst|Senior Analyst|Treasurer|Secretary|Chairman|businessman|judge|
    public prosecutor|civil servant|Lance Corporal|army officer|bus driver|office manager|real estate agent"""
)
DRUGS: Final = _lines(
    """aspirin|ibuprofen|acetaminophen|metformin|lisinopril|atorvastatin|amlodipine|metoprolol|omeprazole|
    losartan|albuterol|gabapentin|sertraline|levothyroxine|warfarin|apixaban|insulin glargine|prednisone|
    furosemide|clopidogrel|amoxicillin|azithromycin|Lipitor|Zoloft|Prozac|Coumadin|Plavix|Lantus|Humira|
    Xarelto|Eliquis|Keytruda|Avastin|Herceptin|Rituxan|Enbrel|Nexium|Advair|Singulair|Synthroid|Crestor|
    Norvasc|Glucophage|Januvia|Ozempic|Tylenol|Advil|Motrin|Benadryl|Zofran|Lasix|Keppra|Dilantin|Tegretol|
    Lamictal|Seroquel|Abilify|Risperdal|Xanax|Ativan|Valium|Klonopin|Ambien|Percocet|Vicodin|OxyContin|
    vancomycin|ceftriaxone|Zosyn|heparin|Lovenox|digoxin|amiodarone|morphine|fentanyl|Dilaudid|methotrexate"""
)
DISEASES: Final = _lines(
    """diabetes|type 2 diabetes mellitus|hypertension|asthma|COPD|pneumonia|atrial fibrillation|heart failure|
    coronary artery disease|stroke|breast cancer|lung cancer|colon cancer|Alzheimer's disease|Parkinson disease|
    Crohn's disease|Hodgkin lymphoma|multiple sclerosis|rheumatoid arthritis|lupus|gout|osteoporosis|epilepsy|
    migraine|depression|anxiety|bipolar disorder|schizophrenia|HIV|hepatitis C|tuberculosis|influenza|sepsis|
    Marfan syndrome|Down syndrome|Turner syndrome|Huntington disease|Wilson disease|Cushing syndrome|
    Addison disease|Graves disease|Hashimoto thyroiditis|Kawasaki disease|Lyme disease|Sjogren syndrome|
    Guillain-Barre syndrome|Tourette syndrome|Raynaud phenomenon|Bell's palsy|Barrett esophagus|
    cystic fibrosis|sickle cell anemia|hemophilia|kidney failure|cirrhosis|pancreatitis|appendicitis|
    Ehlers-Danlos syndrome|Charcot-Marie-Tooth disease|Klinefelter syndrome|Prader-Willi syndrome|
    Niemann-Pick disease|Gaucher disease|Fabry disease|Duchenne muscular dystrophy|Tay-Sachs disease"""
)
EPONYMS: Final = _lines(
    """Parkinson's|Alzheimer's|Crohn's|Hodgkin's|Foley catheter|Babinski sign|Romberg test|Glasgow Coma Scale|
    Apgar score|Swan-Ganz catheter|Hickman catheter|Kocher clamp|Whipple procedure|Billroth II|Nissen fundoplication|
    Roux-en-Y|Heimlich maneuver|Trendelenburg position|Fowler position|Bovie|Steri-Strips|Penrose drain|
    Jackson-Pratt drain|Gram stain|Pap smear|Coombs test|Mantoux test|Holter monitor|Doppler|Doppler ultrasound|
    Murphy sign|McBurney point|Virchow node|Kaposi sarcoma|Ewing sarcoma|Wilms tumor|Paget disease|Dupuytren contracture|
    Baker cyst|Colles fracture|Lachman test|McMurray test|Phalen test|Tinel sign|Homans sign|Kernig sign|
    Brudzinski sign|Cheyne-Stokes|Kussmaul breathing|Wernicke encephalopathy|Korsakoff syndrome|Meniere disease|
    Epstein-Barr virus|Kaplan-Meier|Cox regression|Fisher's exact test|Student's t-test|Black-Scholes|Monte Carlo|
    Sarbanes-Oxley Act|Dodd-Frank Act|Ponzi scheme|Dow Jones|Moody's|Hispanic health study|Framingham risk score"""
)
SYMPTOMS: Final = _lines(
    """chest pain|shortness of breath|fever|chills|cough|headache|nausea|vomiting|dizziness|fatigue|back pain|
    abdominal pain|swelling of the legs|rash|weight loss|night sweats|blurred vision|palpitations|knee pain|
    constipation|diarrhea|insomnia|numbness|weakness|sore throat|joint pain|syncope|edema|hematuria|dysuria"""
)
ORGANS: Final = _lines(
    "liver|heart|left knee|right shoulder|brain|chest|abdomen|lumbar spine|breast|thyroid|kidney"
)
SUBJECTS: Final = _lines(
    """your account|lab results|Meeting notes|Invoice overdue|Quarterly report|Referral|Discharge summary|
    Loan application|Request for records|Follow-up visit|Change of address|Contract renewal|Test results"""
)
CHAT: Final = _lines(
    """ok see you then|how is the pain today?|it started last night|could you send me the file?|thanks a lot|
    I will check and come back to you|no allergies that I know of|the transfer has not arrived|yes please|
    can we move it to next week?|I feel much better|let me look that up|sorry for the delay|that is correct"""
)
TERMS: Final = _lines(
    """Blindness|Dementia|Hypoplasia|Aplasia|Seizures|Ataxia|Nystagmus|Scoliosis|Microcephaly|Hypotonia|Cataract|
    Strabismus|Autosomal recessive inheritance|Autosomal dominant inheritance|Intellectual disability|
    Global developmental delay|Failure to thrive|Short stature|Cleft palate|Low-set ears|Micrognathia|
    Hearing impairment|Muscle weakness|Cardiomyopathy|Hepatomegaly|Splenomegaly|Jaundice|Anemia|Leukopenia|
    Thrombocytopenia|Proteinuria|Renal insufficiency|Hydronephrosis|Cryptorchidism|Polydactyly|Syndactyly|
    Angiotensin I|Protein C|Vitamin K|Factor V Leiden|Hemoglobin A1c|Interleukin 6|Gene Review|OMIM|Orphanet|
    Lissencephaly 1|Paragangliomas 1|Alpha-thalassemia|Beta-thalassemia|Ventricular septal defect|Tremor|
    Mediterranean fever|German measles|French press|Hispanic ethnicity|Caesarean section|Rocky Mountain spotted fever|
    West Nile virus|Ebola virus|Zika virus|Japanese encephalitis|Swiss cheese sign|Mexican hat sign|Spanish flu"""
)
ROOTS: Final = _lines(
    """cardio|neuro|hepato|nephro|gastro|entero|dermato|osteo|chondro|myo|angio|hemo|leuko|thrombo|lympho|adeno|
    cranio|encephalo|ophthalmo|oto|rhino|laryngo|broncho|pneumo|hyper|hypo|poly|oligo|micro|macro|dys|para"""
)
ENDINGS: Final = _lines(
    """pathy|megaly|plasia|trophy|itis|osis|oma|emia|uria|algia|sclerosis|stenosis|plegia|paresis|dystrophy|
    penia|cytosis|rrhea|malacia|lysis|genesis|calcemia|kalemia|natremia|tension|thyroidism|dactyly|cephaly"""
)
TERM_FIRST: Final = _lines(
    "Congenital|Acute|Chronic|Familial|Juvenile|Benign|Primary|Bilateral|Progressive|Hereditary|Abnormal|X-linked"
)
HEADING: Final = _lines(
    """Parks|Resorts|Studio|Markets|Securities|Risk|Factors|Services|Revenue|Products|Interest|Income|Equity|
    Properties|Compensation|Governance|Legal|Proceedings|Overview|Summary|Background|Introduction|Methods|Results|
    Conclusion|Discussion|Hydraulic|Hoses|Truck|Mounted|Crane|Fluent|English|Customer|Support|Project|Management|
    Quality|Assurance|Clinical|Trials|Radiology|Pharmacy|Emergency|Intensive|Care|Unit|Home|Health|Consumer|
    Retail|Wholesale|Commercial|Operations|Strategy|Technology|Research|Development|Human|Resources|Exhibit|Index|
    Balance|Sheet|Cash|Flow|Statement|Notes|General|Terms|Conditions|Privacy|Policy|Master|Agreement|Plan|Option|
    Wisdom|Discipline|Star|Wars|Story|Tales|Chapter|Lesson|Window|Button|Table|Street|Field|Value|Default|Error"""
)
SPECIES: Final = _lines(
    """Taenia saginata|T. saginata|Taenia solium|T. solium|Escherichia coli|E. coli|S. aureus|Staphylococcus aureus|
    Coxiella burnetii|C. difficile|Clostridium difficile|H. pylori|Helicobacter pylori|Candida albicans|C. albicans|
    P. falciparum|Plasmodium vivax|Borrelia burgdorferi|B. burgdorferi|Giardia lamblia|L. monocytogenes|
    Legionella pneumophila|Mycobacterium avium|M. tuberculosis|N. gonorrhoeae|Treponema pallidum|Homo sapiens"""
)
WORKS: Final = _lines(
    """Star Wars|The Lion King|Snow White|Peter Pan|Toy Story|Iron Man|Spider-Man|Black Panther|Captain America|
    Mickey Mouse|Winnie the Pooh|Harry Potter|Robin Hood|Sherlock Holmes|James Bond|Indiana Jones|Doctor Strange|
    Hannah Montana|Grey's Anatomy|Forrest Gump|Jane Eyre|Anna Karenina|Oliver Twist|King Lear|Romeo and Juliet|
    Good Morning America|The Daily Show|Sesame Street|Saturday Night Live|Monday Night Football|Call of Duty|
    The Godfather|Casablanca|Mary Poppins|Thomas the Tank Engine|Dora the Explorer|Bob the Builder|Barbie|G.I. Joe|
    Nightmare Before Christmas|Pirates of the Caribbean|The Jungle Book|Beauty and the Beast|Alice in Wonderland"""
)
BRANDS: Final = _lines(
    """Jack Daniel's|Johnnie Walker|Captain Morgan|Uncle Ben's|Aunt Jemima|Betty Crocker|Ben & Jerry's|Dr Pepper|
    Mary Kay|Estee Lauder|Calvin Klein|Ralph Lauren|Tommy Hilfiger|Hugo Boss|Jimmy Choo|Kate Spade|Levi's|Wrangler|
    Philadelphia|Quaker|Lay's|Wendy's|Arby's|Denny's|Papa John's|Sam Adams|Tim Hortons|Famous Dave's|Mrs. Fields|
    Oscar Mayer|Sara Lee|Orville Redenbacher|Duncan Hines|Marie Callender's|Stouffer's|Gerber|Campbell's|Heinz|
    Hellmann's|Mr. Clean|Mrs. Butterworth's|Dr. Scholl's|Johnson's Baby|Burt's Bees|John Deere|Harley-Davidson"""
)
