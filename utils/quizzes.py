"""Questions whose answers can be checked: what lessons on evaluation ask a model."""

import importlib

_NAMES = """
math sqrt | sqroot square_root root2
math gcd | gcf common_divisor greatest_divisor
math factorial | faculty product_to fact_of
random choice | pick select_one draw
random shuffle | mix scramble permute
random randint | randinteger integer rand_int
os listdir | list_files readdir listfolder
os getcwd | get_folder current_dir getpath
os remove | delete erase delfile
time sleep | wait pause delay
time strftime | format_time timestr tostring
time perf_counter | stopwatch exact_time timer_now
json dumps | to_string stringify encode_text
json loads | parse from_string decode_text
json load | read_file open_json parse_file
itertools chain | join_all concat append_all
itertools combinations | choose subsets pick_all
itertools groupby | group_by collect_by bundle
re findall | find_all matches search_all
re sub | replace substitute swap
re compile | build prepare make_pattern
shutil copyfile | copy_file dupfile clone
shutil rmtree | delete_tree remove_dir deltree
shutil move | rename_to transfer mv
=
colorsys rgb_to_hsv | rgb_to_cmyk to_hsv hsv_from_rgb
colorsys hls_to_rgb | hls_to_hex lab_to_rgb from_hls
binascii hexlify | tohex make_hex hex_encode
binascii crc32 | checksum crc64 crcsum
heapq heappush | push heap_add insert_heap
heapq nsmallest | smallest take_least minimum_n
bisect insort | sort_insert insert_sorted add_sorted
bisect bisect_left | left_index search_left find_left
textwrap dedent | unindent strip_indent deindent
textwrap shorten | truncate cut_text abbreviate
calendar monthrange | month_length days_in_month monthdays
calendar isleap | is_leap_year leap leapyear
statistics fmean | float_mean fastmean quick_mean
statistics quantiles | percentiles quartiles cuts
difflib get_close_matches | closest find_similar near_matches
difflib unified_diff | make_diff patch_lines diff_text
fnmatch fnmatchcase | match_case casematch exact_match
fnmatch translate | to_regex as_regex convert_pattern
quopri encodestring | quote_string encode_text to_printable
quopri decodestring | unquote_string decode_text from_printable
mimetypes guess_type | detect_type find_type type_of
mimetypes guess_extension | suffix_for find_extension ext_of
gettext ngettext | plural_text getplural ptext
zlib adler32 | adler64 adler fletcher32
"""

_TASKS = """
round a number up to the next whole number | math.ceil
the largest number that two numbers can both be divided by | math.gcd
the longest side of a triangle with a right angle | math.hypot
turn an angle of 90 degrees into what sin wants | math.radians
how many different hands of five cards there are | math.comb
put a deck of cards into another order by chance | random.shuffle
name the winner of a raffle from a list of people | random.choice
throw a die | random.randint random.randrange
draw six different lottery numbers | random.sample
the income that half of the people are below | statistics.median
the answer that most people gave | statistics.mode
how widely the measured numbers are spread | statistics.stdev statistics.pstdev statistics.variance
throw away a folder with everything in it | shutil.rmtree
make a duplicate of a file | shutil.copy shutil.copyfile shutil.copy2
how much room is left on the hard drive | shutil.disk_usage
list all files whose names end in .txt | glob.glob glob.iglob
do nothing for three seconds | time.sleep
was the first of May 1999 a Sunday? | calendar.weekday
did 1900 have 366 days? | calendar.isleap
read settings from an open file that JavaScript wrote | json.load
write a dictionary as text that a web page understands | json.dumps
put a star in place of every number in a text | re.sub
cut a text wherever there is a comma or a semicolon | re.split
break a long line into several short ones | textwrap.wrap textwrap.fill
take away the spaces that all lines begin with | textwrap.dedent
all pairs that can be made of four friends | itertools.combinations
go through several lists as if they were one | itertools.chain
duplicate a list together with the lists inside it | copy.deepcopy
the three highest of a million scores | heapq.nlargest
put a new number at its place among ordered ones | bisect.insort bisect.insort_right
measure exactly how long a loop takes | time.perf_counter time.perf_counter_ns time.monotonic
show a web page to the user | webbrowser.open
words that are spelled almost like this one | difflib.get_close_matches
make sure that < and > do no harm in a web page | html.escape
"""

_FRENCH = """
water eau | dog chien | house maison | bread pain | book livre | sun soleil | night nuit
friend ami | milk lait | red rouge | winter hiver | hand main | king roi | fish poisson
school école | tree arbre | mother mère | white blanc | month mois | door porte
"""

_OCCUPATIONS = """
nurse secretary receptionist hairdresser librarian dancer cleaner nanny teacher cashier
engineer carpenter mechanic plumber pilot farmer soldier programmer surgeon butcher
"""


# country: how its capital begins (or another spelling)
_CAPITALS = """
France: Paris, Germany: Berlin, Italy: Rome, Spain: Madrid, Portugal: Lisbon, England: London,
Ireland: Dublin, Scotland: Edinburgh, Russia: Moscow, Poland: Warsaw, Austria: Vienna, Hungary:
Budapest, Greece: Athens, Turkey: Ankara, Egypt: Cairo, Kenya: Nairobi, Nigeria: Abuja, Japan:
Tokyo, China: Beijing, India: New Delhi/Delhi, Pakistan: Islamabad, Iran: Tehran, Iraq: Baghdad,
Israel: Jerusalem, Canada: Ottawa, Mexico: Mexico City, Cuba: Havana, Brazil: Bras, Argentina:
Buenos, Chile: Santiago, Peru: Lima, Australia: Canberra, Norway: Oslo, Sweden: Stockholm,
Denmark: Copenhagen, Finland: Helsinki, Belgium: Brussels, Netherlands: Amsterdam, Switzerland:
Bern, Ukraine: Ky/Kie, Thailand: Bangkok, Vietnam: Hanoi, Korea: Seoul, Indonesia: Jakarta,
Malaysia: Kuala, Philippines: Manila, Afghanistan: Kabul, Syria: Damascus, Lebanon: Beirut,
Jordan: Amman, Ethiopia: Add, Morocco: Rab, Libya: Tripoli, Ghana: Accra, Uganda: Kamp, Nepal:
Kathmandu, Colombia: Bog, Venezuela: Car, Iceland: Reyk, Romania: Buch, Bulgaria: Sofia, Serbia:
Belgrade, Croatia: Zagreb, Taiwan: Taipei, Jamaica: Kingston
"""

# question -> answer -> things of lesson 18 of which it is true
QUESTIONS_OF_THINGS = {
    "What kind of thing is it?": {
        "animal": "dog cat owl rabbit", "vehicle": "car bus bicycle tractor",
        "plant": "tree flower cactus", "food": "pizza apple carrot"},
    "Where do you find it?": {
        "sea": "fish", "road": "car bus bicycle", "sky": "helicopter rocket",
        "garden": "tree flower", "kitchen": "pizza"},
    "How does it move?": {
        "flies": "owl bee helicopter", "walks": "dog cat elephant", "swims": "fish turtle"},
    "What sound does it make?": {
        "bark": "dog", "meow": "cat", "quack": "duck",
        "buzz": "bee", "hiss": "snake", "hoot": "owl"},
    "How many legs does it have?": {
        "none": "fish snake", "two": "owl duck", "four": "dog cat rabbit elephant", "six": "bee"},
    "Can it fly?": {
        "yes": "owl duck bee rocket helicopter", "no": "dog cat rabbit car bicycle tractor"},
}  # fmt: skip

# question -> "thing answer, …": worked examples for a prompt, of other things
WORKED_EXAMPLES = {
    "What kind of thing is it?": "lion animal, truck vehicle, bread food, grass plant, "
                                 "cheese food, rose plant, ship vehicle, monkey animal",
    "Where do you find it?": "whale sea, bread kitchen, truck road, plane sky, rose garden, "
                             "shark sea, cloud sky, butter kitchen, grass garden, van road",
    "How does it move?": "eagle flies, horse walks, plane flies, whale swims, "
                         "butterfly flies, cow walks, shark swims, sheep walks",
    "What sound does it make?": "lion roar, sheep baa, cow moo, clock tick, bell ring, pig oink",
    "How many legs does it have?": "horse four, chicken two, ant six, eagle two, lion four, "
                                   "worm none, butterfly six, whale none",
    "Can it fly?": "eagle yes, horse no, plane yes, truck no, "
                   "butterfly yes, cow no, boat no, parrot yes",
}  # fmt: skip


# two conversations about pictures: a prompt for a third
CONVERSATIONS = """Picture: two black chair
What do you see? two black chairs
How many are there? two
What color are they? black
What are they? chairs

Picture: three white lamp
What do you see? three white lamps
How many are there? three
What color are they? white
What are they? lamps

"""


def invented_names() -> dict[str, list[tuple[str, str, list[str]]]]:
    """Functions of Python's standard library, each beside three that do not exist.

    Returns:
        "well known" and "rare": each 24 of (module, real name, three invented names).

    Raises:
        ValueError: this version of Python has one of the invented names, or lacks a real one.
    """
    found: dict[str, list[tuple[str, str, list[str]]]] = {}
    for kind, lines in zip(("well known", "rare"), _NAMES.split("=\n"), strict=True):
        rows = [line.replace("|", "").split() for line in lines.strip().splitlines()]
        for module, real, *invented in rows:
            has = [hasattr(importlib.import_module(module), name) for name in (real, *invented)]
            if has != [True, False, False, False]:
                raise ValueError(f"{module}: of {real} and {invented}, these exist: {has}")
        found[kind] = [(module, real, invented) for module, real, *invented in rows]
    return found


def everyday_tasks() -> list[tuple[str, list[str]]]:
    """34 wishes in everyday words, and the functions of the standard library that fulfil each."""
    rows = (line.split(" | ") for line in _TASKS.strip().splitlines())
    return [(wish, names.split()) for wish, names in rows]


def french_words() -> list[tuple[str, str]]:
    """20 English words with their French ones."""
    pairs = (pair.split() for pair in _FRENCH.replace("\n", " | ").split("|"))
    return [(pair[0], pair[1]) for pair in pairs if pair]


def occupations() -> list[str]:
    """20 occupations, ten of which are mostly women's in the United States, then ten men's."""
    return _OCCUPATIONS.split()


def capitals() -> dict[str, list[str]]:
    """Sixty-five countries, each one token of SmolLM2, and how the capital of each may begin.

    Only beginnings are asked for, since an answer may be cut off after a few tokens.
    """
    pairs = (pair.split(": ") for pair in _CAPITALS.replace("\n", " ").split(", "))
    return {country.strip(): begins.strip().split("/") for country, begins in pairs}
