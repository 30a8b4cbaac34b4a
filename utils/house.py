"""Sentences that people say to a house, what each should do, and a drawing of the house."""

import random
import re
from collections.abc import Collection

from matplotlib.patches import Polygon, Rectangle
from matplotlib.pyplot import Axes

from utils import plots

ROOMS = """kitchen bedroom bathroom hall office garage attic cellar studio workshop laundry
porch""".split()
NEW_ROOMS = ["library", "nursery", "pantry"]

# Ordinary English, written for this course, on which forgetting is measured.
PARAGRAPHS = [
    " ".join(p.split())
    for p in """
The old man walked slowly down to the harbour every morning. He carried a small bag with bread and
cheese, and he always sat on the same bench, where he could see the boats come in. When the
weather was bad he stayed at home, read the newspaper, and waited for the rain to stop.

Most plants need water, light and air to grow. During the day the leaves take in carbon dioxide
and use the energy of the sun to turn it into sugar. At night this process stops, but the plant
still breathes. That is why a greenhouse has to be opened from time to time.

In the spring of that year the town council decided to build a new bridge across the river. The
old one had become too narrow for the traffic, and heavy trucks were no longer allowed to use it.
Many people complained about the cost. Others said that the shops on the other side would finally
have more customers.

To make a simple soup, cut two onions and three carrots into small pieces and fry them in a little
oil. Add a litre of water, some salt and a few potatoes. Let everything cook for half an hour. If
you like, you can add fresh herbs before you serve it.

My sister moved to another city last summer because she had found a better job there. At first she
did not know anybody, and the evenings were long. Then she joined a choir, and now she has more
friends than she ever had at home.
""".strip().split("\n\n")
]

# {} stands for a room. Line i of "on" and line i of "off" are opposites, in like words,
# so that they cannot be told apart by the rest of the sentence.
_TRAIN = {
    "on": """
        please turn on the light in the {}
        switch on the {} lamp
        could you make the {} bright?
        it is too dark in the {}
        I can't see anything in the {}
        lights on in the {}, please
        I need some light in the {}
        can you light up the {}?
        the {} is pitch black
        would you put the {} light on?
        I want to read in the {}
        give me light in the {}
        the {} should be lit
        brighten the {}
        we are going to work in the {} now
        there is no light in the {}, change that
        start the lamp in the {}
        in the {} I keep bumping into things
        the guests are coming into the {}, make it bright
        why is it so dark in the {}?
        {} light on
        could I have the lamp in the {} on?
        I have lost my keys somewhere in the dark {}
        don't leave me in the dark in the {}
        make it day in the {}
        the {} is far too gloomy
        would you switch the {} light on?
        turn the lamp on in the {}, please
        {}: lamp on
        the lamp in the {} should be on
        I'd like the {} to be brighter
        more light in the {}
        the {} needs light
        can somebody turn on the {} light?
        we can hardly see in the {}
        it got dark in the {}
        I am afraid of the dark, I am in the {}
        light the {}
        I'm in the {} and it's dark
        have the {} lit before I arrive
        please let me see something in the {}
        dinner is in the {}, so we need the lamp there
        it is night and I have to go to the {}
        the lamp in the {} is off, I want it on
        who turned the {} light off? I still need it
        not so dark in the {}, please
        time to get up, light in the {}
        the {} is as black as coal
        set the {} lamp to on
        I will be in the {}, get the lamp ready
        hello, light in the {} please
        everything is dark in the {}
        without a lamp I can't work in the {}
        make sure the {} is bright
        flip the switch so that the {} lights up
        I'd love a little brightness in the {}
        the {} could use some light
        activate the lamp of the {}
        hey, it's like a cave in the {}
        please illuminate the {}
        my son is scared of the dark {}
        let there be light in the {}
        get the lights going in the {}
        turn the {} light on for me, will you?
        I'm stumbling around in the {}
        is it possible to have light in the {}?
        power up the lamp in the {}
        someone turned out the light in the {}, undo that
        I am looking for my glasses in the {} and see nothing
        shine a light in the {}
        the {} lamp, on, now
        you can't even see your own hand in the {}
        the sun has set and I must work in the {}
        kindly set the {} aglow
        we need to see what we are doing in the {}
        chase the darkness from the {}
        could the {} be a bit less dim?
        I am about to enter the {}, so some light would be nice
        put on the lamp over in the {}
        light for the {}!
        how about some light in the {}?""",
    "off": """
        please turn off the light in the {}
        switch off the {} lamp
        could you make the {} dark?
        it is too bright in the {}
        nobody is in the {} any more
        lights out in the {}, please
        I don't need any light in the {}
        can you darken the {}?
        the {} is blindingly bright
        would you put the {} light out?
        I want to sleep in the {}
        no more light in the {}
        the {} should be dark
        darken the {}
        we are done in the {} for today
        the lamp in the {} is burning for nothing, change that
        stop the lamp in the {}
        we all left the {} an hour ago
        the guests have gone from the {}, make it dark
        why is there still light in the {}?
        {} light off
        could I have the lamp in the {} off?
        the bright {} is wasting our electricity
        don't leave the light burning in the {}
        make it night in the {}
        the {} is far too glaring
        would you switch the {} light off?
        turn the lamp off in the {}, please
        {}: lamp off
        the lamp in the {} should be off
        I'd like the {} to be darker
        less light in the {}
        the {} needs no light
        can somebody turn off the {} light?
        we see too well in the {}
        it got too bright in the {}
        I like the dark, I am in the {}
        unlight the {}
        I'm out of the {} and it's still bright
        have the {} dark before I arrive
        please let nobody see anything in the {}
        dinner in the {} is over, so we don't need the lamp there
        it is day and the lamp is still burning in the {}
        the lamp in the {} is on, I want it off
        who turned the {} light on? nobody needs it
        not so bright in the {}, please
        time to go to bed, no light in the {}
        the {} is as bright as the sun
        set the {} lamp to off
        I won't be in the {}, the lamp can rest
        goodbye, no light in the {} please
        everything is too bright in the {}
        with a lamp I can't sleep in the {}
        make sure the {} is dark
        flip the switch so that the {} goes dark
        I'd love a little darkness in the {}
        the {} could do without light
        deactivate the lamp of the {}
        hey, who left all this light on in the {}?
        please extinguish the lamp in the {}
        my son can't fall asleep with the light in the {}
        let the {} be dark
        kill the lights in the {}
        turn the {} light off for me, will you?
        everybody has gone home, the {} is empty
        is it possible to have no light in the {}?
        power down the lamp in the {}
        someone turned on the light in the {}, undo that
        save some power, the {} is not in use
        cut the light in the {}
        the {} lamp, off, now
        the light in the {} hurts my eyes
        the sun is up, so the {} needs no lamp
        kindly let the {} fall into darkness
        we have finished what we were doing in the {}
        no one is using the light in the {}
        could the {} be a bit less bright?
        I have just left the {}, so the lamp is of no use there
        put out the lamp over in the {}
        good night, {}!
        how about less light in the {}?""",
    "none": """
        what is the capital of France?
        the {} needs new curtains
        bananas are yellow
        tell me a story about a dragon
        who painted the {}?
        how much is seven times eight?
        my bicycle has a flat tyre
        I like the colour of the {}
        play some music in the {}
        when does the train to Berlin leave?
        the soup is still too hot
        please write a poem about spring
        how large is the {}?
        she has two brothers and a sister
        there is a spider in the {}
        remind me to call my mother
        the meeting was moved to Monday
        open the window in the {}
        cats sleep most of the day
        what shall we cook tonight?
        we met in the {} yesterday
        the shop closes at six
        how do I spell necessary?
        clean the {} before Friday
        it rained all week
        translate good morning into Spanish
        the {} smells of fresh paint
        he plays the piano very well
        is the {} to the left or to the right?
        give me the recipe for pancakes
        we should buy a sofa for the {}
        what time is it?
        lock the door of the {}
        the moon is far away
        close your eyes and count to ten
        the chair in the {} is broken
        turn the page, please
        the shop sells tables and chairs
        switch to another channel
        someone has left a coat in the {}
        the {} is my favourite place
        how many people live in Spain?
        tell me a joke
        the bread in the {} is old
        my shoes are wet
        what is your name?
        put the box into the {}
        the radio is too loud
        I will paint the {} next week
        birds fly south in winter
        does the {} have a window?
        count the apples
        turn down the heating in the {}
        write a letter to my boss
        his car is in front of the house
        the mouse ran through the {}
        which year is it?
        I would like some tea
        sweep the floor of the {}
        it is a long way home
        bring the ladder to the {}
        how tall is a giraffe?
        there are two chairs in the {}
        the book has many pages
        what is the largest ocean on earth?
        who won the match last night?
        the {} has a wooden floor
        dogs bark at the postman
        sing me a song
        water boils at a hundred degrees
        how old is the {}?
        I forgot my umbrella on the bus
        show me the way to the station
        the {} door squeaks
        what is the square root of nine?
        she wrote a letter to her aunt
        turn up the radio in the {}
        explain how a fridge works
        my phone is ringing
        hang the picture in the {}
        the train was late again
        do you like chocolate?
        put the flowers in the {}
        a week has seven days
        book a table for two
        the walls of the {} are white
        where did I park the car?
        read me the news
        our neighbour has a new dog
        is there a plug in the {}?
        switch the washing machine on
        name three kinds of trees
        it will snow tomorrow
        I dropped a plate in the {}
        how far is it to Rome?
        the children are at school
        heat the {} to twenty degrees
        what does this word mean?
        the film lasts two hours
        my sister painted the {} green
        bring me a glass of water
        the river is deep here
        who is in the {}?
        he is allergic to nuts
        measure the {} for a carpet
        thank you very much
        shut the drawer
        the price of bread went up
        where is the broom, in the {}?
        can you swim?
        add milk to the shopping list
        the wardrobe does not fit into the {}
        horses run faster than people
        how do I tie a tie?
        lights are made in this factory
        the {} is on the second floor
        the lamp in the shop was cheap
        turn left at the church""",
}  # fmt: skip

# Written after every setting of lesson 11 had been chosen, and not looked at in choosing.
_HELD_OUT = {
    "on": """
        would you mind lighting the {}?
        I can't find the door of the {} in this darkness
        bring some light into the {}
        the {} should not stay dark
        make the {} shine
        hit the lights in the {}
        get me a bit of light in the {}, will you
        I want to see the pictures in the {}
        the lamp of the {} is out, and I have work to do there
        nothing can be seen in the {}
        the bulb in the {}, turn it on
        on with the light in the {}
        let us have light in the {}
        the children are playing in the {} and it is getting dark
        isn't it terribly dark in the {}?
        enable the light in the {}
        I'm going into the {}, please light the way
        the {} looks like a tomb without a lamp
        could somebody please make it less dark in the {}?
        there should be light in the {} by the time I come
        switch the lamp in the {} back on
        put some light on in the {}
        I'd rather not sit in the dark {}
        the visitors will want to see the {}
        someone please turn up the lamp in the {}
        my grandmother must not fall in the dark {}
        light up, {}!""",
    "off": """
        would you mind putting out the light in the {}?
        I can't close my eyes in the {} with this brightness
        take the light out of the {}
        the {} should not stay lit
        make the {} go black
        the lamp in the {} can go to sleep
        get rid of the light in the {}, will you
        I want to watch the stars from the {}
        the lamp of the {} is lit, and I have no work to do there
        nobody has to see anything in the {} now
        the bulb in the {}, turn it off
        out with the light in the {}
        let us save the light in the {}
        the children have fallen asleep in the {} and it is still bright
        isn't it terribly bright in the {}?
        disable the light in the {}
        I'm coming out of the {}, please see to the lamp
        the {} is shining like a ballroom for no one
        could somebody please make it less bright in the {}?
        there should be no light in the {} when I come
        switch the lamp in the {} back off
        put an end to the light in the {}
        I'd rather sit in the dark {}
        the visitors have seen the {} and are leaving
        someone please turn down the lamp in the {}
        the electricity bill is too high, begin with the {}
        lights down, {}!""",
    "none": """
        what is the longest river in Africa?
        the {} has a new carpet
        sheep eat grass
        sing the baby to sleep
        who built this house?
        divide twelve by four
        my watch has stopped
        the {} was painted yellow last year
        put on some jazz in the {}
        at what time does the museum open?
        the tea has gone cold
        please tell me a riddle
        how high is the ceiling of the {}?
        her cousin lives in Canada
        I saw a mouse in the {}
        remind me to water the plants
        the party is on Saturday
        close the curtains in the {}
        foxes hunt at night
        what did we eat yesterday?
        they danced in the {} all evening
        the bank is closed today
        how do you say thank you in Italian?
        mop the floor of the {}
        the sky was grey all day
        spell the word rhythm
        it smells of smoke in the {}
        my uncle repairs bicycles
        is the {} larger than mine?
        how long do I have to boil an egg?
        we need new shelves for the {}
        what day is it today?
        leave the door of the {} open
        Mars is smaller than the earth
        take a deep breath
        the clock in the {} is slow
        turn over and go back to sleep
        this suitcase is surprisingly light
        switch seats with your brother
        I left my keys in the {}
        the dark chocolate is sold out
        how many teeth does a shark have?
        whose turn is it now?
        the cupboard in the {} does not close
        my socks have a hole
        can you read this for me?
        carry the chairs to the {}
        the neighbours are loud again
        they will tear down the {} in spring
        ducks can swim and fly
        is it warm enough in the {}?
        turn the volume up
        my lamp shop opens at nine
        the {} was built a hundred years ago""",
}  # fmt: skip


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.strip().splitlines()]


def _pair(kind: str, wording: str, room: str) -> tuple[str, str]:
    return wording.format(room), "none" if kind == "none" else f"lamp.{kind}({room})"


def requests(n: int, seed: int) -> list[tuple[str, str]]:
    """Sentences for training: three pairs of opposites, then two that are no request, and again.

    Returns:
        n pairs such as ("could you make the kitchen bright?", "lamp.on(kitchen)").
    """
    draw, pairs = random.Random(seed), []
    bank = {kind: _lines(text) for kind, text in _TRAIN.items()}
    while len(pairs) < n:
        for _ in range(3):
            i, room = draw.randrange(len(bank["on"])), draw.choice(ROOMS)
            pairs += [_pair("on", bank["on"][i], room), _pair("off", bank["off"][i], room)]
        pairs += [_pair("none", draw.choice(bank["none"]), draw.choice(ROOMS)) for _ in range(2)]
    return pairs[:n]


def held_out() -> dict[str, list[tuple[str, str]]]:
    """54 pairs for each thing that was not in training: the wording, the room, the nonsense."""

    def pairs(bank, kinds, rooms, every=1):
        lines = [(kind, wording) for kind in kinds for wording in _lines(bank[kind])][::every]
        return [_pair(*line, rooms[i % len(rooms)]) for i, line in enumerate(lines)]

    return {
        "new wordings": pairs(_HELD_OUT, ["on", "off"], ROOMS),
        "new rooms": pairs(_TRAIN, ["on", "off"], NEW_ROOMS, every=3),
        "new nonsense": pairs(_HELD_OUT, ["none"], ROOMS),
    }


def obey(call: str, lit: Collection[str]) -> set[str]:
    """The rooms that are lit after a call; whatever is no call for a known room changes nothing."""
    found = re.fullmatch(r"lamp\.(on|off)\((\w+)\)", call)
    if not found or found[2] not in ROOMS + NEW_ROOMS:
        return set(lit)
    return set(lit) | {found[2]} if found[1] == "on" else set(lit) - {found[2]}


def draw(ax: Axes, on: Collection[str]) -> None:
    """Draw the house, five rooms on each of three floors, with the lamps that are on.

    Raises:
        ValueError: a room that the house does not have.
    """
    rooms = ROOMS + NEW_ROOMS
    if unknown := set(on) - set(rooms):
        raise ValueError(
            f"the house has no {', '.join(sorted(unknown))}; it has {', '.join(rooms)}"
        )
    ax.add_patch(Polygon([(-0.2, 3), (2.5, 4), (5.2, 3)], fc=plots.RED, ec="none", alpha=0.6))
    for i, room in enumerate(rooms):
        x, y = i % 5, 2 - i // 5
        lit = room in on
        ground, ink = (plots.YELLOW, plots.BLACK) if lit else ("#3b4252", "white")
        ax.add_patch(Rectangle((x, y), 1, 1, fc=ground, ec="white", lw=2))
        ax.plot([x + 0.5, x + 0.5], [y + 0.75, y + 1], color=ink, lw=1)
        ax.plot(
            x + 0.5, y + 0.68, "o", ms=11 if lit else 7, mfc="white" if lit else "none", mec=ink
        )
        ax.text(x + 0.5, y + 0.2, room, ha="center", va="center", color=ink, size=9)
    ax.set(xlim=(-0.3, 5.3), ylim=(-0.05, 4.05))
    ax.axis("off")
