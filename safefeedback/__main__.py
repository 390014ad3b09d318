from safefeedback.cli import main

main()
