"""A report in a real browser: nothing is fetched or complains, and its numbers are the potentials' own."""

import numpy as np
import pytest
from browser import needs_browser
from handmade import counted, flow, info, summed
from scipy import stats
from studies import SEVEN, TWO, made_study

from mpdviz import report
from mpdviz.accumulations.contents import Contents

pytestmark = needs_browser
HOSTILE = "</script><img src=x onerror=\"document.title='hurt'\"><script>document.title='hurt'</script>"
T, N, C = 4, 40, 25


def potentials(seed, mean):
    return np.random.default_rng(seed).normal(mean, 0.6, (T, N, C))


V = {1: potentials(1, 0.3), 2: potentials(2, -0.9), 3: potentials(3, 0.5)}


def contents(currents=None, **known):
    sums = None if currents is None else summed(currents)
    layers = {
        number: counted(v, info(T, name=f"block.{number}.lif", **known), flow(*np.full((T, 9), 0.1)), sums)
        for number, v in V.items()
    }
    return Contents(
        layers, {"odd": "its spikes are made by nobody"}, origin={"network": HOSTILE, "split": "test"}
    )


def write(path, held, title="A report"):
    report.write(path, title, [report.of_recording(title, held), report.of_making("mpdviz report <x>")])
    return path


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return write(tmp_path_factory.mktemp("report") / "report.html", contents())


@pytest.fixture
def opened(page, file):
    return page.open(file)


@pytest.fixture
def explorer(opened):
    return opened.find("[data-explorer]").get_attribute("id")


def percent(share):
    """As the page says it, but for the last place of what lies half-way."""
    return pytest.approx(100 * share, abs=0.0501)


def said(page, name):
    number, sign = page.out(name).split()
    assert sign == "%"
    return float(number)


def inside(v, kappa):
    return percent((np.abs(v - 0.5) < kappa / 2).mean())


def shown_matches(page, v):
    """What the page says of the interval on the screen, against the potentials themselves."""
    kappa = round(float(page.out("kappa")) * 64) / 64  # shown to four digits; its steps are 64ths here
    assert said(page, "inside") == inside(v, kappa)
    assert said(page, "below") == percent((v <= 0.5 - kappa / 2).mean())
    assert said(page, "above") == percent((v >= 0.5 + kappa / 2).mean())
    assert float(page.out("gain")) == pytest.approx((np.abs(v - 0.5) < kappa / 2).mean() / kappa, rel=1e-3)
    return kappa


def test_nothing_is_fetched_and_nothing_complains(opened):
    assert opened.complaints() == []
    assert opened.requests() == []
    assert opened.run("return document.querySelectorAll('.chart svg').length") == len(opened.all(".chart"))
    assert opened.run("return document.title") == "A report"


def test_what_a_file_says_is_text_and_never_code(page, tmp_path):
    held = contents()
    held.layers[2].info.__dict__["name"] = HOSTILE
    page.open(write(tmp_path / "hostile.html", held, HOSTILE))
    assert page.run("return document.title") == HOSTILE
    assert HOSTILE in page.find("h1").text
    assert page.all("img") == []
    assert HOSTILE in page.find("table.sortable").text
    assert page.complaints() == []


def test_it_opens_on_the_cell_with_the_least_gradient(opened):
    worst = min(V, key=lambda number: min((np.abs(v - 0.5) < 0.5).mean() for v in V[number]))
    t = int(np.argmin([(np.abs(v - 0.5) < 0.5).mean() for v in V[worst]])) + 1
    assert (opened.chosen("layer"), opened.chosen("timestep")) == (worst, t)
    assert opened.out("inside-recorded") == opened.out("inside")
    assert said(opened, "inside") == inside(V[worst][t - 1], 1)


@pytest.mark.parametrize("to", [0.1, 0.9, 1.6])
def test_dragging_the_interval_counts_the_potentials_inside_it(opened, explorer, to):
    opened.choose("layer", 1)
    opened.choose("timestep", 3)
    opened.run("document.querySelector('[data-explorer]').scrollIntoView()")
    opened.drag(opened.x_of(explorer, 1.0), opened.x_of(explorer, to))
    kappa = shown_matches(opened, V[1][2])
    assert kappa / 2 == pytest.approx(abs(to - 0.5), abs=0.03)  # a pixel or so
    assert (kappa * 32) % 0.5 == 0  # ends lie on the histogram's edges


def test_the_keyboard_does_what_the_mouse_does(opened):
    opened.choose("layer", 3)
    slider = opened.find('[data-role="width"]')
    before = shown_matches(opened, V[3][opened.chosen("timestep") - 1])
    slider.send_keys("\ue014")  # arrow right
    after = shown_matches(opened, V[3][opened.chosen("timestep") - 1])
    assert after == pytest.approx(before + 0.5 / 32)
    opened.find('button[data-role="recorded"]').send_keys("\n")
    assert float(opened.out("kappa")) == before


def test_predictions_are_drawn_as_their_laws_say(page, tmp_path):
    """Against the closed forms of the paper's law and its mixture over channels, past the first timestep."""
    gamma, beta, decay, v_th = np.array([0.6, 1.4, 0.9]), np.array([-0.3, 0.1, 0.4]), 0.6, 0.5
    currents = np.random.default_rng(1).normal(beta, 0.5 * gamma, (T, 500, 3))
    held = contents(currents, gamma=tuple(gamma), beta=tuple(beta), decay=decay, v_th=v_th)
    page.open(write(tmp_path / "report.html", held))
    page.choose("layer", 1)
    page.choose("timestep", 3)
    id_ = page.find("[data-explorer]").get_attribute("id") + "-potentials"
    drawn = page.run(
        "return mpdviz.views[arguments[0]].data('predicted').map(p => [p.source, p.v, p.density])", id_
    )
    sources = {source for source, _, _ in drawn}
    assert sources == {"paper", "mixture", "time", "reset", "correlated"}
    growth = np.sqrt(1 + decay**2) * v_th
    for source, means, stds in (
        ("paper", [beta.mean() * (1 + decay)], [gamma.mean() * growth]),
        ("mixture", beta * (1 + decay), gamma * growth),
    ):
        v, density = np.array([point[1:] for point in drawn if point[0] == source]).T
        truth = stats.norm.pdf(v[:, None], means, stds).mean(1)
        assert len(v) > 20
        assert np.abs(density - truth).max() < 0.01 * truth.max()
    v, density = np.array([point[1:] for point in drawn if point[0] == "correlated"]).T
    assert np.trapezoid(density, v) == pytest.approx(1, abs=0.02)
    assert page.complaints() == []


@pytest.mark.parametrize("target", [20, 75])
def test_a_target_is_reached_by_the_narrowest_width(opened, target):
    opened.choose("layer", 2)
    opened.choose("timestep", 1)
    box = opened.find('[data-role="target"]')
    box.clear()
    box.send_keys(str(target))
    v = V[2][0]
    widths = np.arange(1, 449) / 64
    narrowest = next(kappa for kappa in widths if (np.abs(v - 0.5) < kappa / 2).mean() >= target / 100)
    assert float(opened.out("kappa-target")) == pytest.approx(narrowest, rel=1e-3)
    opened.find('button[data-role="reach"]').click()
    assert shown_matches(opened, v) == pytest.approx(narrowest, rel=1e-3)


def test_a_click_on_the_map_shows_that_cell(opened, explorer):
    cell = opened.all(f"#{explorer}-map .mark-rect path")[(3 - 1) * T + (4 - 1)]
    label = cell.get_attribute("aria-label")
    opened.run("arguments[0].scrollIntoView({block: 'center'})", cell)
    cell_box = opened.run(
        "const b = arguments[0].getBoundingClientRect(); return [b.x + b.width / 4, b.y + 4]", cell
    )
    click(opened, *cell_box)
    chosen = (opened.chosen("layer"), opened.chosen("timestep"))
    assert f"timestep: {chosen[1]}" in label
    assert f"layer: {chosen[0]}  block.{chosen[0]}.lif" in label
    shown_matches(opened, V[chosen[0]][chosen[1] - 1])


def click(page, x, y):
    from selenium.webdriver import ActionChains

    actions = ActionChains(page.driver, duration=10)
    actions.w3c_actions.pointer_action.move_to_location(int(x), int(y)).pointer_down().pointer_up()
    actions.perform()


def test_tables_sort_by_any_column(opened):
    table = opened.find("table.sortable")
    headings = [heading.text for heading in table.find_elements("css selector", "th")]
    at = headings.index("lowest ratio")
    for turn, sign in ((1, 1), (2, -1)):
        table.find_elements("css selector", "th button")[at].click()
        column = opened.run(
            "return [...arguments[0].tBodies[0].rows]"
            ".map(row => Number(row.cells[arguments[1]].dataset.value))",
            table,
            at,
        )
        assert column == sorted(column, key=lambda value, sign=sign: sign * value), turn


def test_charts_and_numbers_can_be_taken_away(opened, explorer):
    opened.find(f'button[data-svg="{explorer}-potentials"]').click()
    assert opened.downloaded(f"{explorer}-potentials.svg").startswith("<svg")
    opened.choose("layer", 1)
    opened.find(f'button[data-csv="{explorer}-potentials"]').click()
    header, *rows = opened.downloaded(f"{explorer}-potentials.csv").splitlines()
    assert header == "left,right,count,density,part"
    v = V[1][opened.chosen("timestep") - 1]
    parts = [dict(zip(header.split(","), row.split(","), strict=True)) for row in rows]
    held = sum(int(part["count"]) for part in parts if part["part"] == "inside")
    assert held == (np.abs(v - 0.5) < 0.5).sum()
    opened.find(f'button[data-csv="{explorer}-map"]').click()
    assert len(opened.downloaded(f"{explorer}-map.csv").splitlines()) == 1 + len(V) * T


@pytest.mark.parametrize("width", [400, 1280])
@pytest.mark.parametrize("dark", [False, True])
def test_it_fits_its_screen_and_can_be_read(page, file, width, dark):
    page.open(file, width=width, dark=dark)
    assert page.run("return document.documentElement.scrollWidth") <= width
    for selector in ("body", ".answer", ".chart svg .role-axis-label text", "figcaption"):
        colours = page.run(
            "const one = document.querySelector(arguments[0]), style = getComputedStyle(one);"
            "return [one.closest('svg') ? style.fill : style.color,"
            " getComputedStyle(document.body).backgroundColor]",
            selector,
        )
        assert contrast(*colours) >= 4.5, (selector, colours)


@pytest.mark.thorough
@pytest.mark.parametrize("names", [TWO, SEVEN, TWO[:1]])
@pytest.mark.parametrize("seeds", [(0,), (0, 1, 2)])
@pytest.mark.parametrize("epochs", [1, 4])
def test_no_study_makes_it_complain(page, tmp_path, names, seeds, epochs):
    study = made_study(names, 3, 2, seeds=seeds, epochs=epochs)
    report.write(tmp_path / "study.html", "A study", [report.of_study("A study", study), report.of_making()])
    page.open(tmp_path / "study.html")
    assert page.complaints() == []
    assert len(page.all(".chart svg")) >= len(page.all(".chart")) > 0


def test_paper_holds_every_table_or_is_said_not_to(page, file):
    page.open(file, width=700)  # about what a sheet is wide
    page.run("document.querySelectorAll('details').forEach(part => { part.open = true; })")
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        shown = {True: 0, False: 0}
        for part in page.all("details"):
            columns = len(part.find_elements("css selector", "thead th"))
            table, note = (part.find_element("css selector", name) for name in (".scroll", ".on-paper"))
            assert table.is_displayed() != note.is_displayed()
            assert note.is_displayed() == (columns > 16)
            shown[table.is_displayed()] += 1
            if table.is_displayed():
                assert page.run("return arguments[0].scrollWidth <= arguments[0].clientWidth", table)
            else:
                assert f"{columns} columns" in note.text
        assert min(shown.values()) > 0
        assert not any(control.is_displayed() for control in page.all("button[data-svg], .controls"))
    finally:
        page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def contrast(*colours):
    """The ratio of WCAG 2.1, of two colours as `rgb(r, g, b)`."""

    def luminance(text):
        shares = [int(part) / 255 for part in text[text.index("(") + 1 : -1].split(",")[:3]]
        linear = [s / 12.92 if s <= 0.03928 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
        return np.dot(linear, (0.2126, 0.7152, 0.0722))

    dark, light = sorted(map(luminance, colours))
    return (light + 0.05) / (dark + 0.05)


def test_everything_has_a_name_for_those_who_do_not_see_it(opened):
    assert opened.run("return document.documentElement.lang") == "en"
    opened.run("document.querySelectorAll('details').forEach(part => { part.open = true; })")
    for control in opened.all("select, input, button"):
        assert control.accessible_name, control.get_attribute("outerHTML")
    for figure in opened.all("figure"):
        assert figure.accessible_name
    for table in opened.all("details .scroll"):
        assert table.get_attribute("aria-label")


@pytest.mark.parametrize("case", ["no interval", "nothing finite", "one cell"])
def test_what_was_not_measured_is_said(page, tmp_path, case):
    if case == "no interval":
        held = contents(lower=(np.nan,) * T, upper=(np.nan,) * T)
    elif case == "one cell":
        held = Contents({1: counted(V[1][:1], info(1))})
    else:
        layer = counted(np.zeros((1, 1, 4)), info(1))
        layer.statistics.nonfinite += 4
        for sums in (layer.statistics.available, layer.statistics.cells):
            sums *= 0
        held = Contents({1: layer})
    page.open(write(tmp_path / "report.html", held))
    assert page.complaints() == []
    assert "NaN" not in page.find("[data-explorer]").text
    if case != "one cell":
        assert page.out("inside-recorded") == "not measured"
