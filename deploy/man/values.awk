# Adds an argument's default and choices, which generate-manual omits, to its description in the output of
# --experimental-dump-help. Keys are in alphabetical order; the first of an argument is "abstract".

function text(line) {
  sub(/^[^:]*: "/, "", line)
  sub(/",?$/, "", line)
  return line
}

function flush(  note) {
  if (held == "") return
  note = choices
  if (preset != "" && held !~ /\(default: /) note = note (note == "" ? "" : "; ") "default: " preset
  if (note != "") sub(/",$/, " (" note ")\",", held)
  print held
  if (rest != "") printf "%s", rest
  held = rest = choices = preset = ""
}

/^ *"abstract" : / { flush(); held = $0; next }
held != "" && /^ *"(isOptional|arguments|commandName)" : / { flush() }
held == "" { print; next }
/^ *"allValues" : / { listing = 1 }
/^ *"defaultValue" : / { preset = text($0) }
listing && /^ *\]/ { listing = 0 }
listing && /^ *"[^:]*$/ {
  choice = $0
  gsub(/^ *"|",?$/, "", choice)
  choices = choices (choices == "" ? "one of " : ", ") choice
}
{ rest = rest $0 "\n" }
END { flush() }
