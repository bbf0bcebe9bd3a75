"""Run inside gdb by `older_processor`: changes what the instruction CPUID answers within one library."""

import os

import gdb

# What is taken away of leaf 7 of CPUID: numbers of bits by subleaf and register, as in Intel's manual.
VNNI = {
    (0, "ecx"): (11,),  # AVX512_VNNI
    (1, "eax"): (4, 5),  # AVX_VNNI, AVX512_BF16
    (0, "edx"): (22, 24, 25),  # AMX
}
AVX512 = {(0, "ebx"): (16, 17, 21, 28, 30, 31)}
HIDDEN = {"avx512": VNNI, "avx2": VNNI | AVX512}[os.environ["HIDE_FOR"]]
CPUID_BYTES = 2

asked: tuple[int, int] = (0, 0)
"""Leaf and subleaf of the last question."""
changed = 0
"""Answers with bits taken away."""


def register(name: str) -> int:
    return int(gdb.parse_and_eval(f"${name}")) & 0xFFFFFFFF


class Question(gdb.Breakpoint):
    """At a CPUID."""

    def stop(self) -> bool:
        global asked
        asked = register("eax"), register("ecx")
        return False


class Answer(gdb.Breakpoint):
    """Behind it."""

    def stop(self) -> bool:
        global changed
        for (subleaf, name), bits in HIDDEN.items():
            told = register(name)
            kept = told & ~sum(1 << bit for bit in bits)
            if asked == (7, subleaf) and kept != told:
                gdb.execute(f"set ${name} = {kept}")
                changed += 1
        return False


library = os.environ["HIDE_IN"]
gdb.execute(f"catch load {library.split('.')[0]}", to_string=True)
gdb.execute("run", to_string=True)
if gdb.selected_inferior().pid:  # else the program has ended without loading it
    gdb.execute("delete", to_string=True)
    mapped = [line for line in gdb.execute("info proc mappings", to_string=True).splitlines() if library in line]
    base = int(mapped[0].split()[0], 16)
    for offset in os.environ["HIDE_AT"].split(","):
        place = base + int(offset, 16)
        Question(f"*{place}", internal=True)
        Answer(f"*{place + CPUID_BYTES}", internal=True)
    gdb.execute("continue")
    print(f"changed {changed} answers of CPUID")
