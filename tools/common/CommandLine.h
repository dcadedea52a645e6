// What the programs' mains share: parsing a command line, and how a usage error ends.
#pragma once

#include <CLI/CLI.hpp>

#include <iostream>
#include <optional>
#include <string>

namespace oriel {

/// The first word that the command line has where a sub-command should stand; empty when that is not what is wrong.
inline std::string unknownCommand(const CLI::App &app, const CLI::ParseError &error) {
  std::vector<std::string> words = app.remaining();
  return error.get_exit_code() == static_cast<int>(CLI::ExitCodes::RequiredError) && !words.empty() ? words.front() : "";
}

/// Parses. Nothing when the program is to go on; else its exit code, after the help, the version or an error was
/// printed: 0, or 2 for wrong usage.
inline std::optional<int> parseCommandLine(CLI::App &app, int argc, char **argv) {
  try {
    app.parse(argc, argv);
    return std::nullopt;
  } catch (const CLI::ParseError &error) {
    constexpr int usageError = 2;
    const CLI::App *innermost = &app;
    while (!innermost->get_subcommands().empty())
      innermost = innermost->get_subcommands().back();
    std::string unknown = unknownCommand(*innermost, error), known;
    if (unknown.empty() || innermost->get_subcommands({}).empty())
      return app.exit(error) == 0 ? 0 : usageError;
    for (const CLI::App *command : innermost->get_subcommands({}))
      known.append(known.empty() ? "" : ", ").append(command->get_name());
    std::cerr << "unknown command '" << unknown << "'; there are " << known << "\nRun with --help for more information.\n";
    return usageError;
  }
}

} // namespace oriel
