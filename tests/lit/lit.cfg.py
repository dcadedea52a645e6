# Lit tests: text in, text out, through oriel-opt and orielc.
import os
import shutil

import lit.formats

config.name = "oriel"
config.test_format = lit.formats.ShTest(False)
config.suffixes = [".mlir", ".oriel"]
config.test_source_root = config.oriel_source
config.test_exec_root = config.oriel_output
config.environment["PATH"] = os.pathsep.join([config.oriel_bin, config.llvm_bin, os.environ["PATH"]])
config.environment["ORIEL_TUNING_DIR"] = os.path.join(config.oriel_output, "no-tuning")
if "ORIEL_CACHE" in os.environ:
    config.environment["ORIEL_CACHE"] = os.environ["ORIEL_CACHE"]
config.substitutions.append(("%examples", os.path.join(config.oriel_source, "../../trainer/examples")))
if shutil.which("ptxas"):
    config.available_features.add("ptxas")
