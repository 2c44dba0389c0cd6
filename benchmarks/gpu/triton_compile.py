"""The trial kernels built for a Hopper GPU, which takes none: what the machine code says of them.

    python benchmarks/gpu/triton_compile.py [--timesteps 4 10]

A kernel that does not compile, spills registers or fuses products with sums in the forward pass is found
here and not on a device that is paid for. Loads and stores are counted by width: 16 bytes is what one wants.
"""

import argparse
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from triton_kernels import SHAPES, backward_bits_kernel, backward_kernel, forward_kernel

HOPPER = GPUTarget("cuda", 90, 32)
ELEMENTS = ("fp32", "bf16")
"""Of the current; potentials are fp32."""
HARD: dict[str, Any] = {"SOFT": False, "ROWS": 64}
DISASSEMBLER = Path(triton.__file__).parent / "backends/nvidia/bin"


def machine_code(kernel: Any, element: str, constants: dict[str, Any]) -> tuple[str, str]:
    """The assembly of a kernel for pointers and sizes that are multiples of 16, and its use of registers."""
    kinds = {"M": "i32", "counts_at": "*i64", "words_at": "*i32"}
    kinds |= dict.fromkeys(("current_at", "spikes_at", "grad_at", "grad_current_at"), f"*{element}")
    signature = {
        name: "constexpr" if name in constants else kinds.get(name, "*fp32") for name in kernel.arg_names
    }
    aligned = {
        (place,): [["tt.divisibility", 16]]
        for place, name in enumerate(kernel.arg_names)
        if name not in constants
    }
    made = triton.compile(
        ASTSource(kernel, signature, constants, aligned), HOPPER, {"num_warps": 4, "enable_fp_fusion": False}
    )
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(made.asm["cubin"])
        file.flush()
        said = [
            subprocess.run(command, capture_output=True, text=True, check=True).stdout
            for command in (
                [DISASSEMBLER / "nvdisasm", file.name],
                [DISASSEMBLER / "cuobjdump", "-res-usage", file.name],
            )
        ]
    return said[0], said[1]


def main() -> None:
    """Compile and print a line a kernel."""
    parser = argparse.ArgumentParser(description="the trial kernels' machine code")
    parser.add_argument("--timesteps", type=int, nargs="+", default=[4, 10])
    arguments = parser.parse_args()
    print(f"triton {triton.__version__}, sm_90, 4 warps, blocks of 1,024 neurons")
    for element in ELEMENTS:
        for timesteps in arguments.timesteps:
            cases: list[tuple[str, Any, dict[str, Any]]] = [
                ("forward, bits", forward_kernel, {"KEEP": False, "BITS": True, "COUNT": False}),
                ("forward, counts", forward_kernel, {"KEEP": False, "BITS": False, "COUNT": True}),
                ("backward, bits", backward_bits_kernel, {"DETACHED": True}),
            ]
            for number, shape in enumerate(SHAPES):
                rest = {"DETACHED": False, "LEARNED": True, "SHAPE": number, "A": 2.0, "HEIGHT": 1.3}
                cases.append((f"backward, {shape}", backward_kernel, rest))
            for what, kernel, constants in cases:
                _tell(
                    f"{what}, {element}, T={timesteps}", kernel, element, {"T": timesteps} | HARD | constants
                )


def _tell(case: str, kernel: Any, element: str, constants: dict[str, Any]) -> None:
    assembly, usage = machine_code(kernel, element, constants)
    fused = len(re.findall(r"\b[FD]FMA\b", assembly))
    local = len(re.findall(r"\b(?:LDL|STL)\b", assembly))
    other = len(re.findall(r"\b(?:LDG|STG)\b(?!\.E\.128)", assembly))
    wide = len(re.findall(r"\b(?:LDG|STG)\.E\.128", assembly))
    registers = re.search(r"REG:(\d+)", usage)
    assert registers is not None
    assert not (fused and kernel is forward_kernel), f"{case}: {fused} fused operations"
    print(
        f"{case:34} {registers[1]:>4} registers, {local:>3} spilled; {wide:>3} accesses of 16 bytes, "
        f"{other:>3} others"
    )


if __name__ == "__main__":
    main()
