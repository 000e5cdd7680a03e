"""Working a notebook in JupyterLab as a learner does."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ARTEFACTS = ROOT / "artefacts"


def run_all(page, address):
    """Open a notebook, clear it, run all its cells, wait until its kernel is idle."""
    open_lesson(page, address)  # without its outputs, so that what is seen afterwards is new
    page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-all-cells')")
    page.wait_for_function(
        """() => {
            const notebook = window.jupyterapp.shell.currentWidget.content;
            const code = notebook.widgets.filter(c => c.model.type === 'code'
                && c.model.sharedModel.getSource().trim());
            const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
            return kernel.status === 'idle'
                && code.every(c => c.model.executionCount !== null);
        }"""
    )


def open_lesson(page, address):
    """Open a notebook without its outputs; return the sources of its code cells."""
    page.goto(address)
    page.wait_for_function(
        "() => { const p = window.jupyterapp?.shell?.currentWidget;"
        " return p?.sessionContext?.session?.kernel?.status === 'idle'; }"
    )
    page.evaluate("() => window.jupyterapp.commands.execute('notebook:clear-all-cell-outputs')")
    return sources(page)


def errors(page):
    return page.evaluate(
        """() => window.jupyterapp.shell.currentWidget.content.widgets
            .filter(c => c.model.type === 'code')
            .flatMap(c => c.model.outputs.toJSON())
            .filter(o => o.output_type === 'error')
            .map(o => o.ename + ': ' + o.evalue)"""
    )


def keep_picture(page, name):
    ARTEFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTEFACTS / f"{name}.png")


def write(page, number, source):
    """Put a source into the code cell of that number, from 0."""
    page.evaluate(
        """([number, source]) => {
            const notebook = window.jupyterapp.shell.currentWidget.content;
            const code = notebook.widgets.filter(c => c.model.type === 'code');
            code[number].model.sharedModel.setSource(source);
        }""",
        [number, source],
    )


def run_cell(page, number):
    """Run the code cell of that number, and return what it shows, in its plain form."""
    return page.evaluate(
        """async number => {
            const notebook = window.jupyterapp.shell.currentWidget.content;
            const cell = notebook.widgets.filter(c => c.model.type === 'code')[number];
            notebook.activeCellIndex = notebook.widgets.indexOf(cell);
            await window.jupyterapp.commands.execute('notebook:run-cell');
            return cell.model.outputs.toJSON()
                .map(o => o.data ? o.data['text/plain'] : (o.text ?? o.evalue)).join('\\n');
        }""",
        number,
    )


def sources(page):
    """The sources of the code cells."""
    return page.evaluate(
        """() => window.jupyterapp.shell.currentWidget.content.widgets
            .filter(c => c.model.type === 'code')
            .map(c => c.model.sharedModel.getSource())"""
    )


def ask_in_the_manual(tab, path, **values):
    """Work a route in the service's manual, as a person does; return the status and the body."""
    route = tab.locator(".opblock", has=tab.locator(f'[data-path="{path}"]'))
    route.locator(".opblock-summary-control").click()
    route.get_by_role("button", name="Try it out").click()
    for name, value in values.items():
        route.locator(f'tr[data-param-name="{name}"] input').fill(value)
    route.get_by_role("button", name="Execute").click()
    answer = route.locator(".live-responses-table .response").first
    answer.wait_for()
    status = answer.locator(".response-col_status").inner_text().split()[0]
    return status, answer.locator(".response-col_description pre").first.inner_text()
