"""Shows in Airflow, as an import error of this file, which use cases have a spec that cannot be used.

There is no DAG in it. The other files leave such a use case out, so that a slip in one spec stops no other use case.
"""

from include.settings import Settings
from include.spec import SpecError, sound

_, faults = sound(Settings.from_environment().use_case_folders)
if faults:
    raise SpecError("\n\n".join(map(str, faults)))
