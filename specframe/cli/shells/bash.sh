# Completion of specframe for bash; written by: specframe --show-completion bash
# Bash splits words at "=" and ":", so the line itself is sent, and the word that a reply replaces.
_specframe_completion() {
    local IFS=$'\n'
    COMPREPLY=($(
        _SPECFRAME_COMPLETE=bash \
        _SPECFRAME_LINE="${COMP_LINE:0:COMP_POINT}" \
        _SPECFRAME_WORD="${COMP_WORDS[COMP_CWORD]}" \
        "$1" 2>/dev/null
    ))
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[=.:,] ]]; then
        compopt -o nospace 2>/dev/null
    fi
    return 0
}

complete -o default -F _specframe_completion specframe
